using Orleans.Metadata;

namespace Risk.Cluster;

/// <summary>
/// Clients send each call by the gateway that is next in turn, as they do to stateless workers, where they would send all calls of
/// one grain by one: a gateway that is frozen then holds up a call, and not the same call asked again. For grains whose callers
/// wait for an answer before they send what must come behind it.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class AnyGatewayAttribute : Attribute, IGrainPropertiesProviderAttribute
{
    public void Populate(IServiceProvider services, Type grainClass, GrainType grainType, Dictionary<string, string> properties) =>
        properties[WellKnownGrainTypeProperties.Unordered] = "true";
}
