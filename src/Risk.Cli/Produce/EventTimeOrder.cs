namespace Risk.Cli.Produce;

/// <summary>
/// Puts what comes a little out of order into the order of event time: an item waits until another one is later by the
/// grace, so that whatever may still come before it has come. What comes later than that goes through in its place, behind
/// a later one; so does what the bound on memory pushes out. Equal times keep their order.
/// </summary>
/// <param name="graceMicros">How far events may be out of order; 0: nothing waits.</param>
/// <param name="heldMax">Items that wait, at most.</param>
internal sealed class EventTimeOrder<T>(long graceMicros, int heldMax)
{
    private readonly PriorityQueue<T, (long Time, long Number)> _held = new();
    private long _latest = long.MinValue;
    private long _arrived;
    private bool _ended;

    public void Add(T item, long timeMicros)
    {
        _held.Enqueue(item, (timeMicros, _arrived++));
        _latest = Math.Max(_latest, timeMicros);
    }

    /// <summary>Nothing more comes: everything may go.</summary>
    public void End() => _ended = true;

    /// <summary>The next item that need not wait any more.</summary>
    public bool TryTake(out T item, out long timeMicros)
    {
        if (_held.TryPeek(out item!, out (long Time, long Number) at) && (_ended || at.Time <= _latest - graceMicros || _held.Count > heldMax))
        {
            _held.Dequeue();
            timeMicros = at.Time;
            return true;
        }

        timeMicros = 0;
        return false;
    }
}
