using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Postgres;

/// <summary>
/// The decision log of one partition in PostgreSQL. Appending encodes; a commit is one transaction of the store, which may
/// take other logs with it (<see cref="PostgresCommitter"/>). What is not durable yet is read from memory.
/// <para>
/// Two fences keep a former owner out. The trigger on <c>risk.log_commit</c> refuses every epoch but the newest. A
/// transaction of the former owner that passed it and commits late takes the number that the new owner is about to use; the
/// new owner's insert then violates the key, it gets <c>FENCED</c> and must open the log again: one write wins, the loser
/// reloads.
/// </para>
/// </summary>
internal sealed class PostgresDecisionLog : IDecisionLog
{
    private readonly PostgresDecisionStore _store;
    private readonly LogKey _key;
    private readonly LogTree _tree;
    private readonly Lock _gate = new();
    private readonly byte[] _position = new byte[LogFormat.PositionBytesMax];
    private readonly byte[] _durableRoot = new byte[LogFormat.HashBytes];
    private CopyRows _pending = new();
    private bool _hasPending;
    private int _positionBytes;
    private long _size;
    private long _durableSize;
    private long _nextNumber;
    private long _publishedSize;
    private long _publishedAt;
    private bool _isClosed;
    private volatile DecisionLogException? _failure;

    internal PostgresDecisionLog(PostgresDecisionStore store, LogKey key, RecoveredLog recovered)
    {
        _store = store;
        _key = key;
        _tree = recovered.Tree;
        (Partition, Id, Epoch, Origin) = (recovered.Partition, recovered.Id, recovered.Epoch, recovered.Origin);
        (_size, _durableSize, _nextNumber) = (recovered.Size, recovered.Size, recovered.LastCommit + 1);
        _publishedSize = recovered.PublishedSize;
        recovered.Root.CopyTo(_durableRoot, 0);
        SetPosition(recovered.Position);
    }

    public string Origin { get; }

    /// <summary>Its number in the database.</summary>
    public int Id { get; }

    public int Partition { get; }

    /// <summary>This owner's epoch.</summary>
    public long Epoch { get; }

    /// <summary>The key that its checkpoints verify with.</summary>
    public VerifierKey Key => _key.Key;

    public long Size => Volatile.Read(ref _size);

    public long DurableSize => Volatile.Read(ref _durableSize);

    public ReadOnlySpan<byte> LastPosition => _position.AsSpan(0, _positionBytes);

    /// <summary>What the next transaction writes, or wrote with an outcome not known yet.</summary>
    internal StagedCommit Staged { get; } = new();

    internal PostgresDecisionStore Store => _store;

    public void Append(DecisionGroup group)
    {
        ThrowUnlessWritable();
        if (group.FirstSequence != _size || group.PayloadCount != group.Count)
        {
            throw new ArgumentException($"The group starts at {group.FirstSequence} with {group.Count} records and {group.PayloadCount} payloads; the log is at {_size}.");
        }

        lock (_gate)
        {
            _pending.Add(Id, group);
            _hasPending = true;
            SetPosition(group.Position);
            _size += group.Count;
        }
    }

    public void Commit() => _store.Committer.Commit(this);

    public bool TryRead(long sequence, LogEntry entry)
    {
        lock (_gate)
        {
            if (sequence < 0 || sequence >= _size)
            {
                return false;
            }

            if (sequence >= _durableSize)
            {
                long index = sequence - _durableSize;
                if (index < Staged.Rows.Count)
                {
                    Staged.Rows.Read((int)index, entry);
                }
                else
                {
                    _pending.Read((int)(index - Staged.Rows.Count), entry);
                }

                return true;
            }
        }

        return _store.Reading(connection => EntryRows.TryRead(connection, Id, sequence, entry))
            ? true
            : throw new DecisionLogException(LogCodes.Corrupt, $"Entry {sequence} of {Origin} is missing in the database.");
    }

    public IDecisionLogReader Read(long from) => new PostgresDecisionLogReader(Store.Source, Id, Origin, from, Size, this);

    public byte[] RootHash()
    {
        lock (_gate)
        {
            return [.. _durableRoot];
        }
    }

    public void PublishCheckpoint()
    {
        ThrowUnlessWritable();
        if (_publishedSize == _durableSize)
        {
            return;
        }

        var checkpoint = new Checkpoint(Origin, _durableSize, RootHash());
        byte[] note = checkpoint.Sign(_key);
        try
        {
            _store.Reading(connection => EntryRows.InsertCheckpoint(connection, this, checkpoint.Size, note));
        }
        catch (DecisionLogException e) when (!e.IsRetriable)
        {
            throw Fail(e);
        }

        // The copy outside comes after the row: it never tells of more than the database has.
        _store.ExportedCheckpoints?.Write(Partition, note);
        _publishedSize = checkpoint.Size;
        _publishedAt = _store.Options.Clock.GetTimestamp();
    }

    /// <summary>Publishes a last checkpoint, if the database answers, and closes. What was appended and not committed is dropped.</summary>
    public void Dispose()
    {
        if (_isClosed)
        {
            return;
        }

        try
        {
            if (_failure is null)
            {
                PublishCheckpoint();
            }
        }
        catch (DecisionLogException)
        {
            // All acknowledged entries are durable; the next owner publishes the next checkpoint.
        }

        _isClosed = true;
    }

    /// <summary>Makes what is pending the next commit, unless one still waits for its outcome; false when there is nothing to send.</summary>
    internal bool Stage()
    {
        ThrowUnlessWritable();
        if (Staged.IsWaiting)
        {
            return true;
        }

        if (!_hasPending)
        {
            return false;
        }

        lock (_gate)
        {
            (Staged.Rows, _pending) = (_pending, Staged.Rows);
            _hasPending = false;
        }

        Staged.Begin(_nextNumber, _durableSize, LastPosition);
        _tree.Add(Staged.Rows.Leaves, Staged);
        _tree.Root(Staged.Root);
        return true;
    }

    /// <summary>The staged commit is durable.</summary>
    internal void Confirm()
    {
        lock (_gate)
        {
            Volatile.Write(ref _durableSize, Staged.EndSequence);
            Staged.Root.CopyTo(_durableRoot, 0);
            Staged.End();
        }

        _nextNumber++;
    }

    /// <summary>Publishes a checkpoint when one is due. One that cannot be published costs nothing now: the next commit tells.</summary>
    internal void PublishIfDue()
    {
        if (_publishedSize == _durableSize || _store.Options.Clock.GetElapsedTime(_publishedAt) < _store.Options.CheckpointEvery)
        {
            return;
        }

        _publishedAt = _store.Options.Clock.GetTimestamp();
        try
        {
            PublishCheckpoint();
        }
        catch (DecisionLogException)
        {
            // Entries are durable and acknowledged; a fatal failure is kept and thrown by the next call.
        }
    }

    /// <summary>After a fatal failure the log only reads.</summary>
    internal DecisionLogException Fail(DecisionLogException failure) => _failure ??= failure;

    private void ThrowUnlessWritable()
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        if (_failure is { } failure)
        {
            throw new DecisionLogException(failure.Code, failure.Message[(failure.Code.Length + 2)..], inner: failure);
        }
    }

    private void SetPosition(ReadOnlySpan<byte> position)
    {
        position.CopyTo(_position);
        _positionBytes = position.Length;
    }
}
