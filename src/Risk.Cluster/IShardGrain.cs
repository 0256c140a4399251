namespace Risk.Cluster;

/// <summary>
/// One partition of a stream, wherever it is served; key <c>stream/partition</c>. Orleans keeps one activation and finds it from
/// any silo or client. It may, for a moment, keep two: then the store's epoch lets one of them write, and the other goes.
/// </summary>
public interface IShardGrain : IGrainWithStringKey
{
    /// <summary>
    /// Decides transactions of this partition, each once: the same event again gets the decision that stands. Answers when
    /// they are durable. Calls run side by side and share micro-batches.
    /// </summary>
    /// <param name="transactions">JSON objects with the fields of the stream's schema; their first key field belongs to this partition.</param>
    /// <returns>One answer a transaction, in their order.</returns>
    [AnyGateway]
    Task<ShardAnswer[]> Decide(byte[][] transactions);

    /// <summary>The decision on an event of any partition, as JSON; empty when there is none. From the store: what was answered is there.</summary>
    /// <param name="id">The event's, UTF-8.</param>
    [AnyGateway]
    Task<byte[]> Find(byte[] id);

    /// <summary>Asks the owner of shared entities that lives with this partition, one call a shard and micro-batch; null while it cannot answer.</summary>
    /// <param name="message">As <c>Risk.Service.Serving.Entities.EntityMessage</c> writes it.</param>
    Task<byte[]?> AskOwner(byte[] message);

    /// <summary>Where the partition is served, and how far its log goes.</summary>
    Task<ShardPlace> Place();
}

/// <summary>The answer to one transaction.</summary>
/// <param name="Decision">The record as JSON; empty where there is none.</param>
/// <param name="Code">Empty for a decision that was made now; <c>DUP_SAME</c> for one that stood; otherwise why there is none.</param>
/// <param name="Field">The field that was not accepted; empty where it is none in particular.</param>
[GenerateSerializer, Immutable, Alias("risk.ShardAnswer")]
public readonly record struct ShardAnswer([property: Id(0)] byte[] Decision, [property: Id(1)] string Code, [property: Id(2)] string Field = "");

/// <summary>Where a partition is served.</summary>
/// <param name="Silo">Orleans' address of its silo.</param>
/// <param name="Decisions">In its log.</param>
[GenerateSerializer, Immutable, Alias("risk.ShardPlace")]
public readonly record struct ShardPlace([property: Id(0)] string Silo, [property: Id(1)] long Decisions);
