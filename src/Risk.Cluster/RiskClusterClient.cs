using System.Globalization;
using System.Text.Json;
using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Cluster;

/// <summary>
/// Decisions by call, from any process: finds each transaction's partition by its entity, as a producer of the topic would,
/// and asks wherever it is served, one call a partition. Safe to use from many threads.
/// </summary>
/// <param name="grains">A connected Orleans client, or a silo's own factory.</param>
/// <param name="partitions">Of the stream; the same everywhere and for ever.</param>
public sealed class RiskClusterClient(IGrainFactory grains, StreamSchema schema, int partitions)
{
    private static readonly TimeSpan s_retryFirst = TimeSpan.FromMilliseconds(50), s_retryMax = TimeSpan.FromMilliseconds(500), s_findTry = TimeSpan.FromSeconds(3);
    // What was on its way to a silo that died is lost without a word: asked again sooner than Orleans gives it up.
    private static readonly TimeSpan s_decideTry = TimeSpan.FromSeconds(5);
    // Longer than a decision takes in any but a bad moment.
    private static readonly TimeSpan s_hedgeAfter = TimeSpan.FromSeconds(1);
    private const int HedgesMax = 256;
    private readonly HedgedCall _hedged = new(HedgesMax);

    /// <summary>The code where no answer came in time.</summary>
    public const string NotReady = "NOT_READY";

    private readonly string _keyField = schema.KeyFields[0].Name;

    /// <summary>The partition of a transaction.</summary>
    public int PartitionOf(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1 || !reader.ValueTextEquals(_keyField)) { continue; }
                reader.Read();
                byte[] text = new byte[reader.ValueSpan.Length];
                return KafkaPartitioner.Of(reader.TokenType == JsonTokenType.String ? text.AsSpan(0, reader.CopyString(text)) : reader.ValueSpan, partitions);
            }
        }
        catch (JsonException)
        {
            // Whichever partition gets it will say what is wrong with it.
        }
        return 0;
    }

    public IShardGrain Shard(int partition) => Shard(grains, schema.Name, partition);

    internal static IShardGrain Shard(IGrainFactory grains, string stream, int partition) => grains.GetGrain<IShardGrain>(string.Create(CultureInfo.InvariantCulture, $"{stream}/{partition}"));

    /// <summary>The decision on an event as JSON; empty when there is none.</summary>
    /// <param name="id">The event's, UTF-8.</param>
    /// <exception cref="TimeoutException">Nobody answered within <paramref name="longest"/>.</exception>
    public async Task<byte[]> Find(byte[] id, TimeSpan longest, CancellationToken cancellation = default)
    {
        long until = Environment.TickCount64 + (long)longest.TotalMilliseconds;
        // Any partition's silo can read the store: spread by id, and another when that one does not answer. Of files (silos on one
        // machine) each sees its own, so that only all of them can say that there is none.
        int unknown = 0;
        for (int partition = KafkaPartitioner.Of(id, partitions); ; partition = (partition + 1) % partitions)
        {
            TimeSpan left = TimeSpan.FromMilliseconds(until - Environment.TickCount64);
            if (left <= TimeSpan.Zero) { throw new TimeoutException(); }
            try
            {
                byte[] json = await _hedged.First(() => Shard(partition).Find(id), s_hedgeAfter, left < s_findTry ? left : s_findTry, cancellation);
                if (json.Length > 0 || ++unknown >= partitions) { return json; }
            }
            catch (Exception e) when (e is OrleansException or TimeoutException or IOException)
            {
                await Task.Delay(s_retryFirst, cancellation);
            }
        }
    }

    /// <summary>
    /// Decides the transactions; those of one entity in the order given. A silo that goes away meanwhile is asked again
    /// where its partitions come up, and a slow one by another gateway, which makes no second decision: the answer may then be
    /// <c>DUP_SAME</c> though the event is new.
    /// </summary>
    /// <param name="transactions">JSON objects with the fields of the schema.</param>
    /// <returns>One answer a transaction, in their order; <c>NOT_READY</c> where none came within <paramref name="longest"/>.</returns>
    public async Task<ShardAnswer[]> Decide(IReadOnlyList<byte[]> transactions, TimeSpan longest, CancellationToken cancellation = default)
    {
        var answers = new ShardAnswer[transactions.Count];
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(longest);
        await Task.WhenAll(Enumerable.Range(0, transactions.Count).GroupBy(i => PartitionOf(transactions[i])).Select(async group =>
        {
            int[] open = [.. group];
            for (TimeSpan wait = s_retryFirst; ; wait = wait * 2 < s_retryMax ? wait * 2 : s_retryMax)
            {
                ShardAnswer[] some = await Ask(group.Key, [.. open.Select(i => transactions[i])], limit.Token);
                for (int k = 0; k < open.Length; k++) { answers[open[k]] = some[k]; }
                open = [.. open.Where(i => IsPassing(answers[i].Code))];
                if (open.Length == 0 || limit.IsCancellationRequested) { return; }
                await Task.Delay(wait, limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }));
        cancellation.ThrowIfCancellationRequested();
        return answers;
    }

    private async Task<ShardAnswer[]> Ask(int partition, byte[][] transactions, CancellationToken limit)
    {
        try
        {
            return await _hedged.First(() => Shard(partition).Decide(transactions), s_hedgeAfter, s_decideTry, limit);
        }
        catch (Exception e) when (e is OrleansException or TimeoutException or OperationCanceledException)
        {
            return [.. transactions.Select(_ => new ShardAnswer([], NotReady))];
        }
    }

    /// <summary>What goes by when the partition has come up again.</summary>
    internal static bool IsPassing(string code) => code is NotReady or Core.Log.LogCodes.Fenced or Core.Log.LogCodes.Unavailable or Core.Log.LogCodes.InUse or Core.Log.LogCodes.ReadOnly;
}
