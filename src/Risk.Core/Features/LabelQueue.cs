using System.Diagnostics.CodeAnalysis;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>The outcomes that become known later, by event. A label counts only once it is due, never before: no leakage.</summary>
public interface ILabelSource
{
    /// <summary>Whether the event turns out positive (fraud, default); false for a negative or unlabelled event. <paramref name="knownAt"/>: microseconds, or null for event time plus the stream's label delay.</summary>
    bool IsPositive(in EntityKey eventKey, out long? knownAt);
}

/// <summary>Positive labels that are not due yet, earliest first: when due, the event's time, and for each entity with label features its key and filter flags.</summary>
internal sealed class LabelQueue(int entityCount)
{
    private const int FixedWords = 2, EntityWords = 3;
    private readonly int _words = FixedWords + entityCount * EntityWords;
    private long[] _items = [];
    private int _head;
    private int _count;

    public int Count => _count;

    /// <summary>Room for one label, in the order of due times; the caller fills the entities' words.</summary>
    public Span<long> Insert(long due, long time)
    {
        if ((_head + _count + 1) * _words > _items.Length) { MakeRoom(); }
        int place = _head + _count;
        for (; place > _head && _items[(place - 1) * _words] > due; place--)
        {
            _items.AsSpan((place - 1) * _words, _words).CopyTo(_items.AsSpan(place * _words, _words));
        }
        _count++;
        Span<long> item = _items.AsSpan(place * _words, _words);
        item[0] = due;
        item[1] = time;
        return item[FixedWords..];
    }

    /// <summary>The next label that is due by <paramref name="now"/>.</summary>
    public bool TryTake(long now, out long time, out ReadOnlySpan<long> entities)
    {
        time = 0;
        entities = default;
        if (_count == 0 || _items[_head * _words] > now) { return false; }
        ReadOnlySpan<long> item = _items.AsSpan(_head * _words, _words);
        time = item[1];
        entities = item[FixedWords..];
        _head++;
        _count--;
        return true;
    }

    /// <summary>The waiting labels as words, for a snapshot.</summary>
    public ReadOnlySpan<long> Words => _items.AsSpan(_head * _words, _count * _words);

    public void Restore(ReadOnlySpan<long> words)
    {
        _items = words.ToArray();
        _head = 0;
        _count = words.Length / _words;
    }

    [SuppressMessage("Performance", "CA1822", Justification = "grows the instance's array")]
    private void MakeRoom()
    {
        long[] target = _head > _count ? _items : new long[Math.Max(64, _items.Length * 2) / _words * _words + _words];
        _items.AsSpan(_head * _words, _count * _words).CopyTo(target);
        _items = target;
        _head = 0;
    }
}
