using System.Diagnostics;
using Risk.Core.Transactions;

namespace Risk.Service.Engine;

/// <summary>The wall clock as microseconds since 1970, monotone within a process: a stepped system clock moves no latency.</summary>
internal sealed class EngineClock
{
    private readonly long _startMicros = Micro.FromDateTimeOffset(TimeProvider.System.GetUtcNow());
    private readonly long _startTicks = Stopwatch.GetTimestamp();

    public long NowMicros => _startMicros + (long)((Stopwatch.GetTimestamp() - _startTicks) * (1e6 / Stopwatch.Frequency));

    /// <summary>Sleeps until then, but at least one millisecond and at most fifty: a spinning reader would take a core from the engine.</summary>
    public void SleepUntil(long micros) => Thread.Sleep((int)Math.Clamp((micros - NowMicros) / 1000, 1, 50));
}
