using Risk.Service.Engine;

namespace Risk.Service.Serving.Entities;

/// <summary>
/// The owners of entities that meet transactions of every partition, wherever they live: makes and rebuilds those of this
/// process's partitions, and asks the others.
/// </summary>
internal sealed class EntityOwners(ServeHost host, ServeOptions options, int rowsMax) : IEntityOwners, IDisposable
{
    private const int CountMax = 64;
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);
    private readonly SemaphoreSlim _rebuilding = new(1);
    private readonly HttpClient _others = new();

    public int Count => Math.Min(host.PartitionCount, CountMax);

    /// <summary>The owner that lives in a partition, with no history yet; null where none does.</summary>
    /// <param name="epoch">Of the partition's ownership.</param>
    public EntityOwner? Create(int partition, long epoch) => partition >= Count ? null
        : new EntityOwner(options.Definition.Schema, options.Definition.Catalog, host.Keys, partition, Count, host.PartitionCount, TimeSpan.FromSeconds(options.Configuration.Entities.SkewSeconds), epoch, rowsMax);

    public async Task<byte[]?> Ask(int owner, byte[] request, CancellationToken cancellation)
    {
        if (host.Partition(owner) is not null) { return host.AnswerOwner(owner, request); }
        if (options.AskOwner is { } elsewhere) { return await elsewhere(owner, request, cancellation); }
        if (host.Owners.OwnerOf(owner) is not { } address) { return null; }
        using var content = new ByteArrayContent(request);
        using HttpResponseMessage reply = await _others.PostAsync(new Uri(new Uri(address), $"/internal/entities/{owner}"), content, cancellation);
        return reply.IsSuccessStatusCode ? await reply.Content.ReadAsByteArrayAsync(cancellation) : null;
    }

    /// <summary>Rebuilds the owner of an opened partition from the logs of all partitions; one owner at a time. Returns when it is ready, or nobody needs it any more.</summary>
    public async Task Rebuild(PartitionHost partition, Shard shard, CancellationToken stop)
    {
        while (partition.Shard == shard && shard.Failure is null && !stop.IsCancellationRequested)
        {
            await _rebuilding.WaitAsync(CancellationToken.None);
            try
            {
                long started = host.Clock.NowMicros;
                shard.Owner!.Rebuild(options.Store);
                ServeLog.Write("info", "ENTITIES_READY", $"partition {partition.Partition}: {shard.Owner.EntityCount} shared entities, {(host.Clock.NowMicros - started) / 1e6:F3} s");
                return;
            }
            catch (Exception failure)
            {
                (string code, string sentence) = ServeFaults.Explain(failure);
                host.Counters.Fault(code);
                ServeLog.Write("warning", code, $"shared entities of partition {partition.Partition}: {sentence}");
            }
            finally
            {
                _rebuilding.Release();
            }
            await Task.Delay(s_again, CancellationToken.None);
        }
    }

    public void Dispose()
    {
        _others.Dispose();
        _rebuilding.Dispose();
    }
}
