using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Risk.Core;
using Risk.Core.Log;
using Risk.Service.Serving.Entities;

namespace Risk.Service.Engine;

/// <summary>
/// Saves the shard's state so that a restart need not take the whole log again: copied between two batches, written by a
/// thread of its own, and only once the log is durable up to there, so that a state never knows more than the log.
/// </summary>
internal sealed class StateSnapshots : IDisposable
{
    private const int PollMillis = 5;
    // A state that has grown large is saved more seldom: every time it has grown by a twentieth.
    private const int GrowthShare = 20;
    // Before the state's parts: bytes of the features, labels taken in, bytes of the shared entities, nothing; int32 each.
    private const int HeadBytes = 16;
    // One buffer holds at most 2 GiB; a larger state is rebuilt from the log instead.
    private const long StateBytesMax = 1_900_000_000;
    // Changes with the record layout of the feature engine: an old state is then rebuilt, never misread.
    private const string Layout = "risk-state-2";

    private readonly ISnapshotStore _store;
    private readonly byte[] _digest;
    private readonly IDecisionLog _log;
    private readonly long _every;
    private readonly CancellationTokenSource _stop = new();
    private Task _writing = Task.CompletedTask;
    private long _last;

    /// <summary>Snapshots that could not be written.</summary>
    public int Failures { get; private set; }

    /// <param name="every">Decisions between two snapshots, the most that an opening takes again. A copy is a pause of the deciding thread: 100 ms for the state of two million decisions.</param>
    /// <param name="given">Digest of the catalog whose columns the state leaves out; empty for a whole state.</param>
    public StateSnapshots(ISnapshotStore store, StreamDefinition definition, IDecisionLog log, long every, ReadOnlySpan<byte> given = default)
    {
        _every = every;
        _store = store;
        // What the words of a state mean follows from the schema, the catalog and the layout of this build.
        _digest = SHA256.HashData([.. Encoding.ASCII.GetBytes($"{Layout}|{definition.Schema.Digest}|"), .. definition.Catalog.Digest, .. given]);
        _log = log;
    }

    /// <summary>The history of shared entities that is kept beside the shard's own, saved and restored with it; null for none.</summary>
    public EntityOwner? Entities { get; init; }

    /// <summary>Outcomes that the state has taken in; part of it.</summary>
    public int LabelCount { get; set; }

    /// <summary>Restores the newest snapshot that the log reaches; how many decisions it covers, 0 when there is none.</summary>
    public long Load(ScoringPath path)
    {
        if (!_store.TryLoad(_digest, _log.Size, out long sequence, out byte[]? bytes)) { return 0; }
        int features = BinaryPrimitives.ReadInt32LittleEndian(bytes), entities = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(8));
        try
        {
            path.Features.Restore(bytes.AsSpan(HeadBytes, features));
            if (entities > 0) { Entities?.Restore(bytes.AsSpan(bytes.Length - entities)); }
        }
        catch (InvalidDataException)
        {
            return 0; // of a build with another layout: the log is taken again from its beginning
        }
        path.Known.Restore(bytes.AsSpan(HeadBytes + features, bytes.Length - HeadBytes - features - entities));
        LabelCount = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4));
        return _last = sequence;
    }

    /// <summary>Takes a snapshot when enough was decided since the last and none is being written. On the deciding thread, between batches.</summary>
    public void Offer(ScoringPath path)
    {
        if (path.NextSequence - _last < Math.Max(_every, path.NextSequence / GrowthShare) || !_writing.IsCompleted || IsTooLarge(path)) { return; }
        long sequence = _last = path.NextSequence;
        ArrayBufferWriter<byte> copy = Copy(path);
        _writing = Task.Run(() => Write(sequence, copy));
    }

    /// <summary>Takes a snapshot now, with the engine at rest and the log durable.</summary>
    public void Save(ScoringPath path)
    {
        _writing.Wait();
        if (!IsTooLarge(path)) { TrySave(_last = path.NextSequence, Copy(path)); }
    }

    /// <summary>Decisions since the last snapshot.</summary>
    public long Behind(ScoringPath path) => path.NextSequence - _last;

    public void Dispose()
    {
        _stop.Cancel();
        _writing.Wait();
        _stop.Dispose();
    }

    private void Write(long sequence, ArrayBufferWriter<byte> copy)
    {
        while (_log.DurableSize < sequence)
        {
            if (_stop.Token.WaitHandle.WaitOne(PollMillis)) { return; }
        }
        TrySave(sequence, copy);
    }

    /// <summary>A snapshot that cannot be written costs time at the next start, nothing else.</summary>
    private void TrySave(long sequence, ArrayBufferWriter<byte> copy)
    {
        try
        {
            _store.Save(sequence, _digest, copy.WrittenSpan);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Failures++;
        }
    }

    private static bool IsTooLarge(ScoringPath path) => path.Features.StateBytes + path.Known.StateBytes > StateBytesMax;

    private ArrayBufferWriter<byte> Copy(ScoringPath path)
    {
        var copy = new ArrayBufferWriter<byte>((int)Math.Min(int.MaxValue / 2, path.Features.StateBytes + path.Known.StateBytes));
        copy.GetSpan(HeadBytes).Clear();
        copy.Advance(HeadBytes);
        path.Features.Save(copy);
        int features = copy.WrittenCount - HeadBytes;
        path.Known.Save(copy);
        int known = copy.WrittenCount;
        if (Entities is { IsReady: true } entities) { entities.Save(copy); }
        System.Runtime.InteropServices.MemoryMarshal.TryGetArray(copy.WrittenMemory, out ArraySegment<byte> written);
        Span<byte> head = written.AsSpan(0, HeadBytes);
        BinaryPrimitives.WriteInt32LittleEndian(head, features);
        BinaryPrimitives.WriteInt32LittleEndian(head[4..], LabelCount);
        BinaryPrimitives.WriteInt32LittleEndian(head[8..], copy.WrittenCount - known);
        return copy;
    }
}
