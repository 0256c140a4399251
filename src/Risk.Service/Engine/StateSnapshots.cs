using System.Buffers;
using System.Buffers.Binary;
using Risk.Core;
using Risk.Core.Log;
using Risk.Storage;

namespace Risk.Service.Engine;

/// <summary>
/// Saves the shard's state so that a restart need not take the whole log again: copied between two batches, written by a
/// thread of its own, and only once the log is durable up to there, so that a state never knows more than the log.
/// </summary>
internal sealed class StateSnapshots : IDisposable
{
    // A restart takes at most so many decisions again, about two seconds of work; a copy is a pause of some tens of milliseconds.
    private const long EveryDecisions = 500_000;
    private const int PollMillis = 5;

    private readonly SnapshotStore _store;
    private readonly byte[] _catalogDigest;
    private readonly IDecisionLog _log;
    private readonly CancellationTokenSource _stop = new();
    private Task _writing = Task.CompletedTask;
    private long _last;

    public StateSnapshots(string directory, byte[] catalogDigest, IDecisionLog log)
    {
        _store = new SnapshotStore(Path.Combine(directory, "snapshots"));
        _catalogDigest = catalogDigest;
        _log = log;
    }

    /// <summary>Restores the newest snapshot that the log reaches; how many decisions it covers, 0 when there is none.</summary>
    public long Load(ScoringPath path)
    {
        if (!_store.TryLoad(_catalogDigest, _log.Size, out long sequence, out byte[]? bytes)) { return 0; }
        int features = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        path.Features.Restore(bytes.AsSpan(8, features));
        path.Known.Restore(bytes.AsSpan(8 + features));
        return _last = sequence;
    }

    /// <summary>Takes a snapshot when enough was decided since the last and none is being written. On the deciding thread, between batches.</summary>
    public void Offer(ScoringPath path)
    {
        if (path.NextSequence - _last < EveryDecisions || !_writing.IsCompleted) { return; }
        long sequence = _last = path.NextSequence;
        ArrayBufferWriter<byte> copy = Copy(path);
        _writing = Task.Run(() => Write(sequence, copy));
    }

    /// <summary>Takes a snapshot now, with the engine at rest and the log durable.</summary>
    public void Save(ScoringPath path)
    {
        _writing.Wait();
        _store.Save(_last = path.NextSequence, _catalogDigest, Copy(path).WrittenSpan);
    }

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
        _store.Save(sequence, _catalogDigest, copy.WrittenSpan);
    }

    private static ArrayBufferWriter<byte> Copy(ScoringPath path)
    {
        var copy = new ArrayBufferWriter<byte>((int)Math.Min(int.MaxValue / 2, path.Features.StateBytes + path.Known.StateBytes));
        copy.GetSpan(8).Clear();
        copy.Advance(8);
        path.Features.Save(copy);
        int features = copy.WrittenCount - 8;
        path.Known.Save(copy);
        System.Runtime.InteropServices.MemoryMarshal.TryGetArray(copy.WrittenMemory, out ArraySegment<byte> written);
        BinaryPrimitives.WriteInt32LittleEndian(written.Array.AsSpan(written.Offset), features);
        return copy;
    }
}
