using System.Security.Cryptography;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Streams;

namespace Risk.Service.Engine.Challengers;

/// <summary>
/// A challenger on one partition: it reads the decisions that are durable in the champion's log, in their order, builds the
/// columns that are not in their views, scores, and keeps what it would have decided in a log of its own. The log it reads is
/// its queue, so however far it is behind, nobody waits for it and nothing is lost; its own log's position is where it goes
/// on after a restart. One thread, see <see cref="Challenger"/>.
/// </summary>
internal sealed class ChallengerShard : IDisposable
{
    public const int BatchRows = 512;
    // Nobody waits for a commit of it, and each is a sync of the champion's disk.
    private const long CommitEveryMicros = 1_000_000;
    private const long SnapshotEvery = 500_000;
    private const int SnapshotGrowthShare = 20;

    private readonly IDecisionLog _champion;
    private readonly Shard _own;
    private readonly GivenColumns _given;
    private readonly TransactionCodec _codec;
    private readonly ScoringBatch _batch;
    private readonly EngineClock _clock;
    private readonly float[] _views;
    private readonly RecordFlags[] _flags = new RecordFlags[BatchRows];
    private readonly int[] _outcomes = new int[BatchRows];
    private readonly int _viewCount;
    private readonly byte[] _catalog;
    private readonly long[,] _pairs;
    private IDecisionLogReader? _reader;
    private SourcePosition _position;
    private long _scored; // behind the last batch that was appended; the position runs ahead while one is read
    private long _committedAt;
    private bool _isDirty;

    /// <param name="champion">Only what is durable in it is read; must have an entry.</param>
    /// <param name="pairs">Counts what the champion and the challenger said, by the numbers of <see cref="Core.Decisions.Outcome"/>.</param>
    /// <param name="leaving">Ends the rebuilding of its state.</param>
    public ChallengerShard(int partition, IDecisionLog champion, StreamDefinition championDefinition, ChallengerOptions options, ServingModel model, GivenColumns given, KeyRing keys, EngineClock clock, long[,] pairs, CancellationToken leaving)
    {
        _champion = champion;
        _given = given;
        _clock = clock;
        _pairs = pairs;
        string champions = NameOf(champion);
        var tokens = new TransactionKeys(options.Definition.Schema.Name, keys.Secret);
        IDecisionLog log = options.OpenLog(partition);
        try
        {
            var path = new ScoringPath(options.Definition, model.Champion, model.Ladder, model.Shap, labels: null, keys.Secret, new RecordIdentity(champion.Origin, partition, RecordIdentity.Challenger, ""), FeatureScope.Beyond(given));
            var snapshots = new StateSnapshots(options.Snapshots(partition), options.Definition, log, SnapshotEvery, championDefinition.Catalog.Digest);
            _own = new Shard(partition, path, log, snapshots, NoDeadLetters.Instance, tokens, BatchRows, clock, progress: (_, _) => leaving.ThrowIfCancellationRequested());
        }
        catch
        {
            log.Dispose();
            throw;
        }
        From = log.Size;
        _position = SourcePosition.Decode(log.LastPosition, champions);
        _scored = _position.Line;
        _codec = new TransactionCodec(options.Definition.Schema, tokens);
        _batch = _own.Path.CreateBatch(BatchRows);
        _viewCount = championDefinition.Catalog.Count;
        _catalog = championDefinition.Catalog.Digest;
        _views = new float[BatchRows * _viewCount];
        if (_position.Line <= champion.DurableSize && (_position.Line > 0 || log.LastPosition.IsEmpty)) { return; }
        _own.Dispose();
        throw new DecisionLogException(LogCodes.Other, $"what is in {options.Directory} was said of another log than the one that {champion.Origin} is now: move it away, and the challenger begins anew");
    }

    /// <summary>The champion's log as it stands in the challenger's position: its first entry tells it from another of the same name.</summary>
    private static string NameOf(IDecisionLog champion)
    {
        var first = new LogEntry();
        return champion.TryRead(0, first) ? $"{champion.Origin}|{Convert.ToHexStringLower(SHA256.HashData(first.Record))}" : throw new DecisionLogException(LogCodes.Corrupt, $"entry 0 of {champion.Origin} cannot be read");
    }

    public IDecisionLog Log => _own.Log;

    /// <summary>Entries of its log when it was opened.</summary>
    public long From { get; }

    /// <summary>Durable decisions of the champion that it has not scored. On any thread.</summary>
    public long Behind => _champion.DurableSize - Volatile.Read(ref _scored);

    /// <summary>Scores the next batch; false when there is none.</summary>
    /// <param name="isFinishing">Somebody waits: what is scored is committed as soon as there is nothing more.</param>
    /// <param name="wholeBatches">A batch that is not full is left for later, so that where batches end does not depend on when one looks.</param>
    /// <param name="charge">What a batch of so many rows has cost.</param>
    public bool Step(bool isFinishing, bool wholeBatches, bool isReproducible, Func<int, (Cost Cost, byte[] Method)> charge)
    {
        long rows = Math.Min(BatchRows, Behind);
        if (rows == 0 || (wholeBatches && rows < BatchRows))
        {
            CommitIfDue(isFinishing);
            // It may hold a connection to the champion's database.
            _reader?.Dispose();
            _reader = null;
            return false;
        }
        Read(rows);
        Score(isReproducible, charge);
        CommitIfDue(isNow: false);
        return true;
    }

    private void CommitIfDue(bool isNow)
    {
        if (isNow || _clock.NowMicros - _committedAt >= CommitEveryMicros) { Commit(); }
    }

    /// <summary>Makes durable what was scored.</summary>
    public void Commit()
    {
        if (!_isDirty) { return; }
        _own.Log.Commit();
        _committedAt = _clock.NowMicros;
        _isDirty = false;
        // Here and now: a thread of the pool that began here would stay behind all others.
        _own.SaveSnapshotIf(Math.Max(SnapshotEvery, Log.Size / SnapshotGrowthShare));
    }

    /// <summary>Keeps the state, so that the next opening is quick; everything must be durable.</summary>
    public void Save() => _own.SaveSnapshotIf(1);

    public void Dispose()
    {
        _reader?.Dispose();
        _own.Dispose();
    }

    private void Read(long rows)
    {
        _batch.Clear();
        for (long n = 0; n < rows; n++)
        {
            if (_reader is null || !_reader.Read())
            {
                _reader?.Dispose();
                _reader = _champion.Read(_position.Line);
                if (!_reader.Read()) { throw new DecisionLogException(LogCodes.Corrupt, $"entry {_position.Line} of {_champion.Origin} cannot be read"); }
            }
            Take(_reader.Record, _reader.Payload);
            _position = _position with { Line = _reader.Sequence + 1 };
        }
    }

    /// <summary>What was erased meanwhile is passed over: by right nobody scores it any more.</summary>
    private void Take(ReadOnlySpan<byte> entry, ReadOnlySpan<byte> payload)
    {
        if (DecisionRecordCodec.Read(entry, out DecisionRecord record) != RecordFault.None) { throw new DecisionLogException(LogCodes.Corrupt, $"entry {_position.Line} of {_champion.Origin} cannot be read"); }
        if (record.Kind != RecordKind.Decision || payload.IsEmpty) { return; }
        int row = _batch.Transactions.Count;
        if (PrivatePayloadCodec.Read(payload, out PrivatePayload parts) != RecordFault.None || parts.FeatureCount != _viewCount || !record.CatalogDigest.SequenceEqual(_catalog) || !_codec.Append(parts.Transaction, record.Sequence, record.EventTimeMicros, _batch.Transactions))
        {
            throw new DecisionLogException(LogCodes.Other, $"entry {record.Sequence} of {_champion.Origin} is of another schema or catalog than the champion's now; move the challenger's log away, and begin with a new one of the champion");
        }
        parts.CopyFeatures(_views.AsSpan(row * _viewCount));
        _flags[row] = record.Flags;
        _outcomes[row] = record.Outcome;
    }

    private void Score(bool isReproducible, Func<int, (Cost Cost, byte[] Method)> charge)
    {
        int rows = _batch.Transactions.Count;
        _own.Path.Admit(_batch);
        if (_batch.Count != rows) { throw new DecisionLogException(LogCodes.Corrupt, $"the challenger's log {Log.Origin} holds events that its position says it has not read"); }
        for (int k = 0; k < rows; k++) { _batch.PutGiven(_given, k, _views.AsSpan(k * _viewCount, _viewCount), _flags[k]); }
        _own.Path.DecideAdmitted(_batch);
        _batch.DecisionMicros = isReproducible ? ScoringBatch.DatedByEvents : _clock.NowMicros;
        (_batch.Cost, _batch.CostMethod) = charge(rows);
        _own.Path.Record(_batch);
        _position = _position with { Transactions = _position.Transactions + rows, Decisions = _position.Decisions + rows };
        _batch.Group.SetPosition(_position.Encode());
        Log.Append(_batch.Group);
        _isDirty = true;
        Volatile.Write(ref _scored, _position.Line);
        for (int k = 0; k < rows; k++) { Interlocked.Increment(ref _pairs[_outcomes[k], (int)_batch.Outcome(k)]); }
    }

    /// <summary>What the champion decided was accepted.</summary>
    private sealed class NoDeadLetters : IDeadLetters
    {
        public static NoDeadLetters Instance { get; } = new();

        public void Append(in Rejection rejection, DeadLetterSource source) => throw new InvalidOperationException("a challenger rejects nothing");

        public void Flush(bool durable)
        {
        }

        public void Dispose()
        {
        }
    }
}
