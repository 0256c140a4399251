using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.Service.Costs;

/// <summary>
/// Writes what a serving process has cost into <c>costs.jsonl</c>, while it runs: a line a second at first, then after every
/// hundredth of the day's running time, so a process that is killed leaves its costs but for a hundredth; at midnight (UTC) and
/// at the end in any case. Each line is of one run and day and replaces those before it when it is read
/// (<see cref="CostsFile.Read"/>), so a restart adds a run and counts nothing twice.
/// </summary>
/// <param name="look">Looks at the ledger, brought up to date.</param>
/// <param name="notify">Told once, with the code, when the file cannot be written; decisions go on.</param>
internal sealed class LiveCosts(string directory, Func<MeteredRun> look, EngineClock clock, Action<string, string> notify) : IAsyncDisposable
{
    private const long EveryMicros = 1_000_000;
    private const int ShareOfDay = 100;

    private readonly string _run = $"{Guid.NewGuid():N}";
    private readonly CancellationTokenSource _stop = new();
    private MeteredRun? _dayStart;
    private DateOnly _day;
    private long _dayStarted, _writtenAt;
    private bool _isTold;
    private Task _writing = Task.CompletedTask;

    public void Start()
    {
        (_day, _dayStarted, _writtenAt) = (Today(), clock.NowMicros, clock.NowMicros);
        _writing = Task.Run(WriteNowAndThen);
    }

    /// <summary>Writes the last line, in which what no decision bears is closed; nothing must be charged any more.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _writing;
        if (_dayStarted != 0) { Write(look().Closed()); }
        _stop.Dispose();
    }

    private async Task WriteNowAndThen()
    {
        while (!_stop.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!_stop.IsCancellationRequested) { Step(); }
        }
    }

    private void Step()
    {
        long now = clock.NowMicros;
        DateOnly today = Today();
        bool isNewDay = today != _day;
        if (!isNewDay && now - _writtenAt < Math.Max(EveryMicros, (now - _dayStarted) / ShareOfDay)) { return; }
        MeteredRun run = look();
        Write(run);
        if (isNewDay) { (_day, _dayStarted, _dayStart) = (today, now, run); }
        _writtenAt = now;
    }

    private void Write(MeteredRun run)
    {
        try
        {
            CostsFile.Append(directory, (_dayStart is { } start ? run.Since(start) : run) with { Part = (_run, _day) });
            _isTold = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (!_isTold) { notify("COSTS_UNWRITABLE", $"{Path.Combine(directory, CostsFile.Name)}: {e.Message}; decisions go on and carry their costs, idle time and waste are not told apart until it can be written"); }
            _isTold = true;
        }
    }

    private DateOnly Today() => DateOnly.FromDateTime(DateTime.UnixEpoch.AddTicks(clock.NowMicros * (TimeSpan.TicksPerSecond / Micro.Second)));
}
