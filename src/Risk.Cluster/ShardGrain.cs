using System.Collections.Concurrent;
using System.Globalization;
using Orleans.Concurrency;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Serving;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Cluster;

/// <summary>
/// A partition's place in the cluster: while it is active, this silo's host owns the partition. All rules are in the shard;
/// the grain opens it, hands transactions on and gives it away. Reentrant, so that calls share micro-batches.
/// <para>
/// Where it stands follows Kafka: <see cref="PartitionPull"/> moves it to the silo that gets the partition's messages, which then
/// go into the shard's micro-batches in that process, not through a call each. Calls find it wherever it is. So both ways meet
/// in one shard, and there is one place, its log, that says from where Kafka goes on. Nothing rests on either directory:
/// two activations, or a consumer that does not know yet that it was replaced, end at the epoch in the store.
/// </para>
/// <para>
/// There is no Orleans grain storage: a partition's state is the decision store's (its log and snapshots, in PostgreSQL), which commits
/// it together with the decisions and the place in Kafka, and fences it by epoch; a second copy written by the grain could
/// only disagree with it. Orleans keeps nothing but the membership of the silos, in PostgreSQL through AdoNet.
/// </para>
/// </summary>
[Reentrant, SpreadPlacement]
internal sealed class ShardGrain(ServeHost host, ShardActivations activations, ILocalSiloDetails silo) : Grain, IShardGrain
{
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(20), s_roomWait = TimeSpan.FromMilliseconds(5);
    private int _partition;
    private TransactionParser _parser = null!;
    private TransactionBatch _row = null!;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        string key = this.GetPrimaryKeyString();
        if (!int.TryParse(key.AsSpan(key.LastIndexOf('/') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _partition)
            || _partition >= host.PartitionCount || !key.StartsWith(host.Definition.Schema.Name + "/", StringComparison.Ordinal))
        {
            throw new ArgumentException($"PARTITION_UNKNOWN: {key} is no partition of {host.Definition.Schema.Name}, which has {host.PartitionCount}");
        }
        _parser = host.CreateParser();
        _row = new TransactionBatch(host.Definition.Schema, 1);
        // A fenced activation leaves, and the next call makes another where the directory says.
        IGrainContext context = GrainContext;
        activations.Add(_partition, () => context.Deactivate(new DeactivationReason(DeactivationReasonCode.ApplicationRequested, "fenced: another activation has opened the partition")));
        host.Take(_partition);
        return Task.CompletedTask;
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        activations.Remove(_partition);
        // Draining waits for the store; not on the grain's scheduler.
        return Task.Run(() => host.Give(_partition, drain: true), CancellationToken.None);
    }

    public Task<ShardPlace> Place() => Task.FromResult(new ShardPlace(silo.SiloAddress.ToString(), host.Partition(_partition)?.Shard?.Log.DurableSize ?? 0));

    public Task<byte[]> Find(byte[] id) => Task.Run(() => host.FindInStore(host.Keys.Event(id)) ?? []);

    public Task<byte[]?> AskOwner(byte[] message) => Task.Run(() => host.AnswerOwner(_partition, message));

    public async Task<ShardAnswer[]> Decide(byte[][] transactions)
    {
        var answers = new ShardAnswer[transactions.Length];
        var waiters = new DecisionWaiter?[transactions.Length];
        long due = host.Clock.NowMicros + (long)s_answerMax.TotalMicroseconds;
        for (int i = 0; i < transactions.Length; i++)
        {
            while (true)
            {
                // Between two awaits the grain runs alone: parser and row belong to this turn.
                _row.Clear();
                if (_parser.Parse(transactions[i], RecordIdentity.NoOffset, host.Clock.NowMicros, _row, out Rejection rejection) != ErrorCode.None)
                {
                    answers[i] = new ShardAnswer([], rejection.Code.Text(), rejection.Field ?? "");
                    break;
                }
                var waiter = new DecisionWaiter();
                PartitionHost? partition = host.Partition(_partition);
                if (partition?.Call(_row, waiter, long.MaxValue) == Intake.Taken)
                {
                    waiters[i] = waiter;
                    break;
                }
                // Given away: whoever asks again is led to where it is then.
                if (partition is null || host.Clock.NowMicros > due)
                {
                    answers[i] = new ShardAnswer([], "NOT_READY");
                    break;
                }
                await Task.Delay(s_roomWait);
            }
        }
        for (int i = 0; i < waiters.Length; i++)
        {
            if (waiters[i] is not { } waiter) { continue; }
            try
            {
                (byte[] json, ErrorCode code) = await waiter.Answer.WaitAsync(s_answerMax);
                answers[i] = new ShardAnswer(json, code == ErrorCode.None ? "" : code.Text());
            }
            catch (DecisionFailedException failure)
            {
                answers[i] = new ShardAnswer([], failure.Code);
            }
            catch (TimeoutException)
            {
                answers[i] = new ShardAnswer([], "NOT_READY");
            }
        }
        return answers;
    }
}

/// <summary>How the silo's host reaches the activation of a partition.</summary>
internal sealed class ShardActivations
{
    private readonly ConcurrentDictionary<int, Action> _leave = new();

    public void Add(int partition, Action leave) => _leave[partition] = leave;

    public void Remove(int partition) => _leave.TryRemove(partition, out _);

    /// <summary>The activation's shard was fenced.</summary>
    public void Fenced(int partition)
    {
        if (_leave.TryGetValue(partition, out Action? leave)) { leave(); }
    }
}
