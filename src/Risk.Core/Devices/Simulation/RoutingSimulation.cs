namespace Risk.Core.Devices.Simulation;

/// <summary>What a policy cost on a trace.</summary>
/// <param name="Money">In the currency: batches, and what it cost to have accelerators switched on. What is paid in any case (amortisation of what is owned) is in nobody's.</param>
/// <param name="Joules">At the meter; of the accelerators all, of the CPU its computing time.</param>
/// <param name="MissedCount">Rows whose batch, at the device's p99, ended after their deadline.</param>
/// <param name="OnMicros">Accelerators' time switched on.</param>
/// <param name="SwitchCount">Times an accelerator was switched on after the beginning.</param>
public readonly record struct RoutingResult(string Policy, double Money, double Joules, long MissedCount, long BatchCount, long RowCount, long AcceleratedRowCount, long OnMicros, int SwitchCount)
{
    /// <summary>Money with each missed deadline at its price.</summary>
    public double MoneyWithMisses(double missMoney) => Money + (MissedCount * missMoney);
}

/// <summary>
/// Plays arrivals through a policy, event by event, in one thread and with no clock: batches take the median of the curve,
/// deadlines are held against its p99.
/// </summary>
public static class RoutingSimulation
{
    /// <param name="arrivals">Ascending, microseconds.</param>
    /// <param name="deadlineMicros">From arrival to answer.</param>
    /// <param name="runIn">Arrivals that are played first and counted for nobody, so that a trace does not begin with a policy that knows nothing: everything counts from the time of the first later one, to the last one's deadline.</param>
    public static RoutingResult Run(
        IRoutePolicy policy, DeviceRouter router, ReadOnlySpan<long> arrivals, long deadlineMicros, int runIn = 0, StreamGrade grade = StreamGrade.CostSensitive)
    {
        IReadOnlyList<RoutedDevice> devices = router.Devices;
        DeviceState[] states = router.CreateStates(policy.StartsOn, arrivals[0]);
        long[][] slots = [.. devices.Select(device => new long[device.Slots])];
        long[] onSince = new long[devices.Count];
        double pico = 0, joules = 0;
        long missed = 0, batches = 0, accelerated = 0, onMicros = 0, now = arrivals[0];
        int head = 0, tail = 0, switches = 0;
        bool isCounted = false;
        for (int d = 0; d < devices.Count; d++)
            onSince[d] = states[d].IsOn ? now : -1;
        while (head < arrivals.Length)
        {
            while (tail < arrivals.Length && arrivals[tail] <= now)
                tail++;
            if (!isCounted && tail > runIn)
            {
                isCounted = true;
                (pico, joules, missed, batches, accelerated, onMicros, switches) = (0, 0, 0, 0, 0, 0, 0);
                for (int d = 0; d < devices.Count; d++)
                    onSince[d] = onSince[d] >= 0 ? now : -1;
            }
            if (head == tail)
            {
                now = arrivals[tail];
                policy.Power(states, isQueueEmpty: true, now);
                CountPower(now);
                continue;
            }
            RouteQueue queue = new(tail - head, false, arrivals[head], arrivals[head] + deadlineMicros, grade, NextDeadline(arrivals[head..tail], deadlineMicros, now));
            RouteStep step = policy.Next(queue, states, now);
            if (step.IsWait)
            {
                long next = Math.Max(step.WakeAtMicros, now + 1);
                now = tail < arrivals.Length ? Math.Min(next, Math.Max(arrivals[tail], now)) : next;
                continue;
            }
            RoutedDevice device = devices[step.Device];
            ref readonly BatchFigures batch = ref device.Of(step.Rows);
            int slot = Array.IndexOf(slots[step.Device], slots[step.Device].Min());
            long start = Math.Max(now, Math.Max(slots[step.Device][slot], states[step.Device].ReadyAtMicros));
            for (int row = head; row < head + step.Rows && arrivals[row] + deadlineMicros < start + (long)batch.P99Micros; row++)
                missed++;
            slots[step.Device][slot] = start + (long)batch.MedianMicros;
            states[step.Device].BusyUntilMicros = slots[step.Device].Min();
            pico += batch.Money;
            joules += batch.Joules;
            batches++;
            if (!device.IsElastic)
                accelerated += step.Rows;
            head += step.Rows;
            policy.Ran(step, queue, states, now);
            policy.Power(states, head == tail, now);
            CountPower(now);
        }
        for (int d = 0; d < devices.Count; d++)
        {
            if (onSince[d] >= 0)
                ChargeOn(d, Math.Max(now, arrivals[^1] + deadlineMicros));
        }
        return new RoutingResult(policy.Name, pico / 1e12, joules, missed, batches, arrivals.Length - runIn, accelerated, onMicros, switches);

        static long NextDeadline(ReadOnlySpan<long> waiting, long deadlineMicros, long now)
        {
            if (waiting[0] + deadlineMicros >= now)
                return 0;
            int from = waiting.BinarySearch(now - deadlineMicros);
            from = from < 0 ? ~from : from;
            return from < waiting.Length ? waiting[from] + deadlineMicros : long.MaxValue;
        }

        void CountPower(long at)
        {
            for (int d = 0; d < devices.Count; d++)
            {
                if (states[d].IsOn == onSince[d] >= 0)
                    continue;
                if (states[d].IsOn)
                {
                    onSince[d] = at;
                    switches++;
                }
                else
                {
                    ChargeOn(d, Math.Max(at, slots[d].Max()));
                    onSince[d] = -1;
                }
            }
        }

        void ChargeOn(int d, long at)
        {
            long on = at - onSince[d];
            pico += on * devices[d].OnPicoPerMicro;
            joules += on / 1e6 * devices[d].IdleWatts;
            if (!devices[d].IsElastic)
                onMicros += on;
        }
    }
}
