using Orleans.CodeGeneration;

namespace Risk.Cluster;

/// <summary>
/// Clients send each call of the method by the gateway that is next in turn, where they would send all calls of one grain by
/// one: a gateway that is frozen then holds up a call, and not the same call asked again. For methods whose callers wait for the
/// answer before they send what must come behind it.
/// </summary>
[InvokableCustomInitializer(nameof(IRequest.AddInvokeMethodOptions), InvokeMethodOptions.Unordered)]
[AttributeUsage(AttributeTargets.Method)]
internal sealed class AnyGatewayAttribute : Attribute;
