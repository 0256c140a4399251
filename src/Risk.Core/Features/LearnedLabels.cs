using System.Buffers;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// The positive labels learned after their transactions, so that one that comes again is not counted again. A label is
/// remembered for <see cref="Reach"/>; one for an older transaction is refused, for it could not be told from a repetition.
/// Positive outcomes are few: about 60 bytes each.
/// </summary>
internal sealed class LearnedLabels(long reach)
{
    private readonly HashSet<EntityKey> _keys = [];
    private readonly Queue<(long Until, EntityKey Key)> _order = new();

    /// <summary>How long after its event a label may become due and still count, microseconds.</summary>
    public long Reach => reach;

    public bool TryAdd(in EntityKey key, long time, long due, long now)
    {
        while (_order.TryPeek(out (long Until, EntityKey Key) oldest) && oldest.Until < now)
        {
            _order.Dequeue();
            _keys.Remove(oldest.Key);
        }
        if (due - time > reach || now - time > reach || !_keys.Add(key)) { return false; }
        _order.Enqueue((Math.Max(now, time) + reach, key));
        return true;
    }

    public void Save(IBufferWriter<byte> output)
    {
        SnapshotWords.Write(output, [_order.Count]);
        foreach ((long until, EntityKey key) in _order) { SnapshotWords.Write(output, [until, (long)key.High, (long)key.Low]); }
    }

    public void Restore(ref SnapshotWords.Reader input)
    {
        for (long left = input.Next(); left > 0; left--)
        {
            long until = input.Next();
            var key = new EntityKey((ulong)input.Next(), (ulong)input.Next());
            _keys.Add(key);
            _order.Enqueue((until, key));
        }
    }
}
