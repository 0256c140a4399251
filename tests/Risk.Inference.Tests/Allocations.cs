namespace Risk.Inference.Tests;

/// <summary>The gate on allocated bytes: exact where time is not.</summary>
internal static class Allocations
{
    /// <summary>Runs the action until it is compiled for good, then asserts that not one byte is allocated on this thread.</summary>
    public static void AssertNone(Action action)
    {
        for (var i = 0; i < 50; i++)
        {
            action();
        }

        long least = long.MaxValue;
        for (var attempt = 0; attempt < 5; attempt++) // the runtime itself may allocate once when a method is recompiled
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 20; i++)
            {
                action();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
