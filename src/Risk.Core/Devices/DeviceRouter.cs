namespace Risk.Core.Devices;

/// <summary>What a stream's rows want.</summary>
public enum StreamGrade : byte
{
    /// <summary>Answers soon: waits for company only as long as <see cref="RouterOptions.DelayMaxMicros"/>, is hedged, and tries out a device that was lost only when nobody else has.</summary>
    LatencyCritical = 0,
    /// <summary>Replays: full batches, no hurry.</summary>
    Bulk = 1,
    /// <summary>As cheap as the deadline allows: rows wait until the deadline leaves just the time that their batch takes.</summary>
    CostSensitive = 2,
}

/// <summary>What the router goes by.</summary>
/// <param name="DelayMaxMicros">Longest wait for company of latency-critical rows; default 1,000.</param>
/// <param name="BulkDelayMaxMicros">The same of bulk rows; default 1,000,000.</param>
/// <param name="GuardMicros">Kept back from every deadline, for hand-over and commit; default 200.</param>
/// <param name="MissMoney">What a missed deadline costs, in the currency; default 0.01. Also decides whether hedging pays.</param>
/// <param name="RetryMicros">First wait after a device was lost, doubled at each further loss; default 1,000,000.</param>
/// <param name="RetryMaxMicros">The longest; default 300,000,000.</param>
/// <param name="SwitchStarts">Starts' worth that an accelerator must have saved to be switched on, or lost to be switched off; default 3, at least 1. More flaps less on bursts and follows a change of load later.</param>
/// <param name="LateMax">Batches in a row that a device may be late with and still get the next one as soon as it is back; default 2. With one more it waits as after a loss.</param>
public sealed record RouterOptions(
    long DelayMaxMicros = 1_000, long BulkDelayMaxMicros = 1_000_000, long GuardMicros = 200, double MissMoney = 0.01,
    long RetryMicros = 1_000_000, long RetryMaxMicros = 300_000_000, double SwitchStarts = 3, int LateMax = 2);

/// <summary>What waits to be scored; rows leave from the front.</summary>
/// <param name="IsFull">No further row fits.</param>
/// <param name="EarliestDeadlineMicros"><see cref="long.MaxValue"/> where there is none.</param>
/// <param name="NextDeadlineMicros">Once the earliest is past: the earliest that is not, <see cref="long.MaxValue"/> when all are past; 0 where the caller does not know.</param>
public readonly record struct RouteQueue(int Count, bool IsFull, long OldestIngestMicros, long EarliestDeadlineMicros, StreamGrade Grade, long NextDeadlineMicros = 0);

/// <summary>What to do now.</summary>
/// <param name="Device">Index of the device; −1 means wait.</param>
/// <param name="Rows">Rows from the front of the queue.</param>
/// <param name="PaddedRows">Rows that the device computes for them.</param>
/// <param name="WakeAtMicros">When to ask again at the latest; earlier when something arrives.</param>
/// <param name="HedgeAtMicros">When the batch has no answer by then, run it on <paramref name="HedgeDevice"/> too and take the first answer; <see cref="long.MaxValue"/> for never.</param>
public readonly record struct RouteStep(int Device, int Rows, int PaddedRows, long WakeAtMicros, long HedgeAtMicros, int HedgeDevice)
{
    public bool IsWait => Device < 0;
    public static RouteStep Wait(long until) => new(-1, 0, 0, until, long.MaxValue, -1);
}

/// <summary>Health, power and business of one device; owned by the caller, changed by the router's functions.</summary>
public record struct DeviceState
{
    /// <summary>Switched on; an elastic device always is.</summary>
    public bool IsOn { get; set; }

    /// <summary>When it can take its first batch after being switched on.</summary>
    public long ReadyAtMicros { get; set; }

    /// <summary>When the first of its slots is free.</summary>
    public long BusyUntilMicros { get; set; }

    /// <summary>Losses since it last answered; 0 when it is healthy.</summary>
    public int Losses { get; set; }

    /// <summary>Batches in a row that it was late with: their hedges had to begin.</summary>
    public int Lates { get; set; }

    /// <summary>Not to be tried before; counts only while <see cref="Losses"/> is above 0.</summary>
    public long RetryAtMicros { get; set; }

    /// <summary>What it has saved of late over what it cost, in 10⁻¹²; while it is on, 0 to <see cref="RouterOptions.SwitchStarts"/> times its starting cost. See <see cref="DeviceRouter.Account"/>.</summary>
    public double Balance { get; set; }

    /// <summary>Up to when its cost of being on is in <see cref="Balance"/>.</summary>
    public long BalancedAtMicros { get; set; }
}

/// <summary>What the router has learned about its load; owned by the caller.</summary>
public record struct RouterLoad
{
    /// <summary>What a row has cost of late, 10⁻¹²: a row that leaves now is worth that much, one that stays will cost it.</summary>
    public double MoneyPerRow { get; set; }
}

/// <summary>
/// Chooses device and batch for waiting rows. Pure: queue, states and time go in, a step comes out; it keeps nothing,
/// allocates nothing and needs under 200 ns (bench <c>router-regret</c>).
/// <para><b>When.</b> Larger batches cost less a row, so rows wait as long as their grade and the earliest deadline allow;
/// a full batch leaves at once. Deadlines are held against the p99 of the measured curve.</para>
/// <para><b>Where and how many.</b> Of the devices that are on, healthy and in time, the one where the batch costs least,
/// each row that leaves being credited with what a row costs on average (the renewal-reward form of cost a row). So 70 rows
/// leave as 64 where a padded device would compute 256 for them, and the 6 go with the next.</para>
/// <para><b>Power.</b> An accelerator that is on costs money whether it is used or not. Its balance grows by what each batch
/// saves against the next best device and shrinks by what it costs to be on, between 0 and the cost of a few starts: at 0 it
/// should be switched off, and while it is off the same sum with what it would have saved says when to switch it on. This is
/// the work function of the two-state task system (Borodin, Linial, Saks, 1992, https://doi.org/10.1145/146585.146588): a
/// device is never worse by more than a few starts than any schedule known in hindsight, and does not flap.</para>
/// <para><b>Loss.</b> A lost device gets no work until its retry time, then one batch that could still be answered in time
/// elsewhere; each further loss doubles the wait. It earns nothing meanwhile and so is switched off; from its retry time on it
/// is credited with what it would save like any other, switched on again, and tried.</para>
/// <para><b>Lateness.</b> A device that is late now and then is slow and not lost: it gets the next batch as soon as it is back.
/// One that is late again and again is hedged for nothing each time, so it is set aside like a lost one; each batch that it is
/// late with doubles the wait, and one in time ends it.</para>
/// </summary>
public sealed class DeviceRouter
{
    // Weight of one batch in the average cost of a row.
    private const double LearningRate = 1.0 / 64;

    private readonly RoutedDevice[] _devices;
    private readonly RouterOptions _options;
    private readonly double _missPico;
    private readonly int _fallback;

    /// <param name="devices">At least one of them elastic (the CPU): it takes what nobody else can.</param>
    public DeviceRouter(IReadOnlyList<RoutedDevice> devices, RouterOptions options)
    {
        _devices = [.. devices];
        _options = options;
        _missPico = options.MissMoney * 1e12;
        _fallback = Array.FindIndex(_devices, device => device.IsElastic);
        if (_fallback < 0)
            throw new ArgumentException("one device must be the CPU: it is what remains when the others are lost", nameof(devices));
    }

    public IReadOnlyList<RoutedDevice> Devices => _devices;

    /// <summary>States to begin with: the CPU on, accelerators as given.</summary>
    public DeviceState[] CreateStates(bool acceleratorsOn, long nowMicros) =>
        [.. _devices.Select(device => new DeviceState { IsOn = device.IsElastic || acceleratorsOn, ReadyAtMicros = nowMicros, BalancedAtMicros = nowMicros, Balance = acceleratorsOn ? SwitchPico(device) : 0 })];

    /// <summary>The load to begin with: every row as cheap as it can be.</summary>
    public RouterLoad CreateLoad() => new() { MoneyPerRow = _devices.Min(device => (double)device.Of(device.BatchMax).Money / device.BatchMax) };

    /// <summary>What to do with the queue now.</summary>
    public RouteStep Next(in RouteQueue queue, ReadOnlySpan<DeviceState> states, in RouterLoad load, long nowMicros)
    {
        if (queue.Count == 0)
            return RouteStep.Wait(long.MaxValue);

        long deadline = queue.EarliestDeadlineMicros == long.MaxValue ? long.MaxValue : queue.EarliestDeadlineMicros - _options.GuardMicros;
        int best = -1, bestRows = 0, soonest = _fallback, soonestRows = 1;
        long bestStart = 0, soonestEnd = long.MaxValue;
        double bestScore = double.MaxValue;
        bool bestIsCut = false;
        for (int d = 0; d < _devices.Length; d++)
        {
            ref readonly DeviceState state = ref states[d];
            if (!state.IsOn || (state.Losses > 0 && !MayTry(state, d, queue, deadline, nowMicros)))
                continue;
            RoutedDevice device = _devices[d];
            long start = Math.Max(nowMicros, Math.Max(state.BusyUntilMicros, state.ReadyAtMicros));
            // More than one batch waits for a device that is not free: the last of them must be in time as well, or others help.
            if (start > nowMicros && queue.Count > device.BatchMax && deadline != long.MaxValue
                && start + ((queue.Count / device.BatchMax + 1) * (long)device.Of(device.BatchMax).P99Micros) > deadline)
                continue;
            int rows = Math.Min(queue.Count, device.BatchMax);
            bool isCut = false;
            if (start + (long)device.Of(rows).P99Micros > deadline)
            {
                long end = start + (long)device.Of(rows).P99Micros;
                if (end < soonestEnd)
                    (soonest, soonestRows, soonestEnd) = (d, rows, end);
                rows = device.RowsWithin(deadline - start);
                isCut = true;
                // Waiting for a device that then takes only some of the rows in time makes the others late.
                if (start > nowMicros)
                    continue;
            }
            // The most rows that are in time, and the sizes below them that pad nothing.
            for (int tries = 0; tries < 3 && rows > 0; tries++)
            {
                ref readonly BatchFigures batch = ref device.Of(rows);
                double score = batch.Money - (load.MoneyPerRow * rows);
                if (score < bestScore)
                    (best, bestRows, bestScore, bestStart, bestIsCut) = (d, rows, score, start, isCut);
                rows = batch.Below < rows ? batch.Below : device.IsPadded ? device.Of(rows - 1).Below : 0;
            }
        }

        if (best < 0)
            return Late(queue, states, soonest, soonestRows, nowMicros);
        RoutedDevice chosen = _devices[best];
        if (bestStart > nowMicros)
            return RouteStep.Wait(bestStart);
        ref readonly BatchFigures figures = ref chosen.Of(bestRows);
        // A batch that the deadline has cut already only gets smaller by waiting.
        if (!queue.IsFull && !bestIsCut && queue.Count < chosen.BatchMax)
        {
            long byDeadline = deadline == long.MaxValue ? long.MaxValue : deadline - (long)figures.P99Micros;
            long leaveAt = queue.Grade switch
            {
                StreamGrade.LatencyCritical => Math.Min(queue.OldestIngestMicros + _options.DelayMaxMicros, byDeadline),
                StreamGrade.Bulk => Math.Min(queue.OldestIngestMicros + _options.BulkDelayMaxMicros, byDeadline),
                _ => byDeadline == long.MaxValue ? queue.OldestIngestMicros + _options.BulkDelayMaxMicros : byDeadline,
            };
            if (leaveAt > nowMicros)
                return RouteStep.Wait(leaveAt);
        }
        return Run(queue, best, bestRows, nowMicros);
    }

    /// <summary>
    /// Learns from a batch that was sent and keeps the balances: call it with each step that runs. The device's gain is what the
    /// batch would have cost without it, at the next best device, less what it costs (or would cost) on it.
    /// </summary>
    public void Account(in RouteStep step, in RouteQueue queue, Span<DeviceState> states, ref RouterLoad load, long nowMicros)
    {
        double money = _devices[step.Device].Of(step.Rows).Money;
        load.MoneyPerRow += ((money / step.Rows) - load.MoneyPerRow) * LearningRate;
        for (int d = 0; d < _devices.Length; d++)
        {
            if (_devices[d].IsElastic)
                continue;
            ref DeviceState state = ref states[d];
            double with = MoneyOn(d, step.Rows, queue), without = double.MaxValue;
            for (int other = 0; other < _devices.Length; other++)
            {
                if (other != d && states[other].IsOn && states[other].Losses == 0)
                    without = Math.Min(without, MoneyOn(other, step.Rows, queue));
            }
            // What it saved belongs to the same stretch of time as what it cost to be on: both at once, or 0 would never be reached under load.
            double gain = state.Losses == 0 || nowMicros >= state.RetryAtMicros ? Math.Max(0, without - with) : 0;
            double held = Math.Max(0, nowMicros - state.BalancedAtMicros) * _devices[d].OnPicoPerMicro;
            state.Balance = Math.Clamp(state.Balance + gain - held, 0, state.IsOn ? SwitchPico(_devices[d]) : double.MaxValue);
            state.BalancedAtMicros = Math.Max(state.BalancedAtMicros, nowMicros);
        }
    }

    /// <summary>Whether it is time to switch the device on or off; null for neither. Ask after <see cref="Account"/>, and once in a while when nothing arrives.</summary>
    /// <param name="isQueueEmpty">Rows that wait may count on the device; it is not switched off under them.</param>
    public bool? PowerAdvice(int device, ref DeviceState state, bool isQueueEmpty, long nowMicros)
    {
        RoutedDevice routed = _devices[device];
        if (routed.IsElastic)
            return null;
        Hold(ref state, routed, nowMicros);
        if (state.IsOn)
            return state.Balance <= 0 && isQueueEmpty && nowMicros >= state.ReadyAtMicros ? false : null;
        return (state.Losses == 0 || nowMicros >= state.RetryAtMicros) && state.Balance >= SwitchPico(routed) ? true : null;
    }

    /// <summary>When its balance is spent if nothing more comes, and so when <see cref="PowerAdvice"/> will be to switch it off; <see cref="long.MaxValue"/> for never.</summary>
    public long EmptyAtMicros(int device, in DeviceState state) =>
        _devices[device].OnPicoPerMicro > 0 ? Math.Max(state.ReadyAtMicros, state.BalancedAtMicros + (long)Math.Min(state.Balance / _devices[device].OnPicoPerMicro, long.MaxValue / 4)) : long.MaxValue;

    /// <summary>Takes the advice. A device that is switched off finishes what it computes and gets nothing more.</summary>
    public void Switch(int device, ref DeviceState state, bool on, long nowMicros)
    {
        state.IsOn = on;
        state.ReadyAtMicros = on ? nowMicros + _devices[device].StartMicros : 0;
        // The start is paid for; while it starts, nothing is counted against it.
        state.Balance = on ? SwitchPico(_devices[device]) : 0;
        state.BalancedAtMicros = Math.Max(nowMicros, state.ReadyAtMicros);
    }

    /// <summary>The device failed a batch: no work until the retry time.</summary>
    public void Lost(ref DeviceState state, long nowMicros)
    {
        state.Losses++;
        state.RetryAtMicros = nowMicros + Wait(state.Losses);
        state.BusyUntilMicros = nowMicros;
    }

    /// <summary>The device is back from a run that was late: whether it has been late too often in a row to get the next batch.</summary>
    /// <returns>Microseconds until its retry time; 0 when it is not set aside, and <paramref name="state"/> is as it was.</returns>
    public long SetAside(ref DeviceState state, long nowMicros)
    {
        if (state.Lates <= _options.LateMax)
            return 0;
        long wait = Wait(state.Lates - _options.LateMax);
        state.Losses = Math.Max(1, state.Losses);
        state.RetryAtMicros = nowMicros + wait;
        return wait;
    }

    private long Wait(int times) => Math.Min(_options.RetryMicros << Math.Min(times - 1, 20), _options.RetryMaxMicros);

    /// <summary>The device answered.</summary>
    public static void Answered(ref DeviceState state) => state.Losses = 0;

    private RouteStep Run(in RouteQueue queue, int device, int rows, long nowMicros)
    {
        ref readonly BatchFigures batch = ref _devices[device].Of(rows);
        long hedgeAt = long.MaxValue;
        if (device != _fallback && queue.Grade == StreamGrade.LatencyCritical && queue.EarliestDeadlineMicros != long.MaxValue && rows <= _devices[_fallback].BatchMax)
        {
            ref readonly BatchFigures onFallback = ref _devices[_fallback].Of(rows);
            long last = queue.EarliestDeadlineMicros - _options.GuardMicros - (long)onFallback.P99Micros;
            // Run only when the batch is late by the device's own p99; half of such batches are taken to miss without it.
            if (last >= nowMicros + (long)batch.P99Micros && _missPico * rows * 0.5 > onFallback.Money)
                hedgeAt = last;
        }
        return new RouteStep(device, rows, batch.Padded, nowMicros, hedgeAt, hedgeAt == long.MaxValue ? -1 : _fallback);
    }

    /// <summary>The front is not in time any more: wherever it is done soonest, now or when that is free, with as many rows as leave those behind it in time.</summary>
    private RouteStep Late(in RouteQueue queue, ReadOnlySpan<DeviceState> states, int device, int rows, long nowMicros)
    {
        long start = Math.Max(states[device].BusyUntilMicros, states[device].ReadyAtMicros);
        if (start > nowMicros)
            return RouteStep.Wait(start);
        // Where nobody says when the others are due, half of the time that a row has when it comes is left to them.
        long next = queue.NextDeadlineMicros != 0 ? queue.NextDeadlineMicros : nowMicros + ((queue.EarliestDeadlineMicros - queue.OldestIngestMicros) / 2);
        int inTime = next == long.MaxValue ? rows : Math.Max(1, _devices[device].RowsWithin(next - _options.GuardMicros - nowMicros));
        return Run(queue, device, Math.Min(Math.Min(rows, inTime), queue.Count), nowMicros);
    }

    private bool MayTry(in DeviceState state, int device, in RouteQueue queue, long deadline, long nowMicros)
    {
        // Rows that can wait go first; where there are none, the others must, or the device is never found again.
        if (nowMicros < state.RetryAtMicros + (queue.Grade == StreamGrade.LatencyCritical ? _options.RetryMicros : 0))
            return false;
        RoutedDevice tried = _devices[device], fallback = _devices[_fallback];
        int rows = Math.Min(queue.Count, Math.Min(tried.BatchMax, fallback.BatchMax));
        return deadline == long.MaxValue || nowMicros + (long)tried.Of(rows).P99Micros + (long)fallback.Of(rows).P99Micros <= deadline;
    }

    /// <summary>What the rows cost on a device, cut to its batches; with a missed deadline where it could not have met it, however early it had begun.</summary>
    private double MoneyOn(int device, int rows, in RouteQueue queue)
    {
        RoutedDevice routed = _devices[device];
        int whole = rows / routed.BatchMax, rest = rows - (whole * routed.BatchMax);
        double money = whole == 0 ? 0 : whole * (double)routed.Of(routed.BatchMax).Money;
        if (rest > 0)
            money += routed.Of(rest).Money;
        // On an elastic device the rows can be spread over its slots; what one row needs is what counts then.
        float micros = routed.IsElastic ? routed.Of(1).P99Micros : routed.Of(Math.Min(rows, routed.BatchMax)).P99Micros;
        return queue.EarliestDeadlineMicros != long.MaxValue && queue.OldestIngestMicros + (long)micros > queue.EarliestDeadlineMicros ? money + (_missPico * rows) : money;
    }

    /// <summary>The balance that a device must have to be switched on.</summary>
    public double SwitchBalance(int device) => SwitchPico(_devices[device]);

    /// <summary>Savings to switch on for, losses to switch off for.</summary>
    private double SwitchPico(RoutedDevice device) => Math.Max(device.StartPico * _options.SwitchStarts, 1);

    private static void Hold(ref DeviceState state, RoutedDevice device, long nowMicros)
    {
        long held = nowMicros - state.BalancedAtMicros;
        if (held <= 0)
            return;
        state.Balance = Math.Max(0, state.Balance - (held * device.OnPicoPerMicro));
        state.BalancedAtMicros = nowMicros;
    }
}
