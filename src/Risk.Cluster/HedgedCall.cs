namespace Risk.Cluster;

/// <summary>
/// One question that is asked again by another gateway while there is no answer (hedging): a gateway that is frozen keeps what
/// goes by it without a word until Orleans declares it dead. Only for questions that may be asked twice.
/// </summary>
/// <param name="sideBySideMax">Repeats under way at once, over all questions: where everybody is slow, and not one gateway frozen, they would only add to the load.</param>
internal sealed class HedgedCall(int sideBySideMax)
{
    private int _repeats;

    /// <summary>The first answer.</summary>
    /// <param name="again">Without an answer for so long it is asked again; the next time is twice as far away.</param>
    /// <exception cref="TimeoutException">No answer within <paramref name="longest"/>.</exception>
    /// <remarks>Throws what the last one failed with when all that were asked have failed.</remarks>
    public async Task<T> First<T>(Func<Task<T>> ask, TimeSpan again, TimeSpan longest, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(longest);
        var asked = new List<Task<T>> { ask() };
        int repeats = 0;
        try
        {
            for (TimeSpan wait = again; ; wait *= 2)
            {
                Task pause = Task.Delay(wait, limit.Token);
                while (await Task.WhenAny([.. asked, pause]) is Task<T> done)
                {
                    if (done.IsCompletedSuccessfully || asked.Count == 1) { return await done; }
                    asked.Remove(done);
                }
                cancellation.ThrowIfCancellationRequested();
                if (limit.IsCancellationRequested) { throw new TimeoutException(); }
                if (Interlocked.Increment(ref _repeats) > sideBySideMax) { Interlocked.Decrement(ref _repeats); }
                else
                {
                    repeats++;
                    asked.Add(ask());
                }
            }
        }
        finally
        {
            Interlocked.Add(ref _repeats, -repeats);
            await limit.CancelAsync();
            // Their answers are nobody's any more, nor what they fail with.
            foreach (Task<T> left in asked) { _ = left.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default); }
        }
    }
}
