using System.Collections.Concurrent;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

public sealed class BoundedOpeningTests : IDisposable
{
    private const int Soon = 20, Long = 60_000;

    private readonly ManualResetEventSlim _driver = new(); // set: it lets go
    private readonly ConcurrentQueue<string> _told = new();

    public void Dispose()
    {
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => _told.Count is 0 or 2, Long), "the call never came back");
        _driver.Dispose();
    }

    [Fact]
    public void CallThatIsLeft_IsToldOfFirst_AndWhatItCameToAfterwards()
    {
        Assert.False(TryRun(Soon, () => { _driver.Wait(); return "late"; }, out string? opened));
        Assert.Null(opened);
        Assert.Equal(["left"], _told);
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => _told.Count == 2, Long), "what came late is given to nobody");
        Assert.Equal(["left", "late"], _told);
    }

    [Fact]
    public void CallThatIsLeft_AndThrows_EndsNothing_AndIsToldAsNothing()
    {
        Assert.False(TryRun(Soon, () => { _driver.Wait(); throw new InvalidOperationException("a driver"); }, out _));
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => _told.Count == 2, Long), "what came late is given to nobody");
        Assert.Equal(["left", "nothing"], _told);
    }

    [Fact]
    public void CallInTime_RunsOnAThreadThatKeepsNoProcessAlive_AndNobodyIsToldAnything()
    {
        Thread? thread = null;
        bool isBackground = false;
        Assert.True(TryRun(Long, () => { (thread, isBackground) = (Thread.CurrentThread, Thread.CurrentThread.IsBackground); return "in time"; }, out string? opened));
        Assert.Equal(("in time", "opening", true), (opened, thread!.Name, isBackground));
        Assert.True(thread.Join(Long));
        Assert.Empty(_told);
    }

    [Fact]
    public void WithoutABound_TheCallRunsOnTheThreadThatAsks_AndThrowsThere()
    {
        Assert.True(TryRun(0, () => $"{Environment.CurrentManagedThreadId}", out string? opened));
        Assert.Equal($"{Environment.CurrentManagedThreadId}", opened);
        Assert.Throws<InvalidOperationException>(() => TryRun(0, () => throw new InvalidOperationException("a driver"), out _));
        Assert.Empty(_told);
    }

    private bool TryRun(int millisMax, Func<string> open, out string? opened) =>
        BoundedOpening<string>.TryRun("opening", millisMax, open, () => _told.Enqueue("left"), late => _told.Enqueue(late ?? "nothing"), out opened);
}
