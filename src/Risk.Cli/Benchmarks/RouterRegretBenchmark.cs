using System.Diagnostics;
using System.Globalization;
using Risk.Cli.Costs;
using Risk.Core.Devices;
using Risk.Core.Devices.Simulation;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// <c>router-regret</c>: what the router spends on recorded arrivals, beside always-CPU, always-accelerator, the best fixed
/// threshold, and the least that anyone could spend who knows the future (<see cref="OfflineOracle"/>).
/// </summary>
internal sealed class RouterRegretBenchmark : IBenchmark
{
    private static readonly int[] s_thresholds = [2, 4, 8, 16, 32, 64, 128, 256];

    public string Name => "router-regret";

    public string Measures => "money, joules and missed deadlines on recorded arrivals, and the time of a decision";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        ArrivalTrace day = PlanCommand.ReadTrace("card-payments-day"), oneDay = PlanCommand.ReadTrace("card-payments-one-day");
        int span = context.IsQuick ? 1 : 2;
        // Each trace has a run-in that counts for nobody.
        Trace(context, result, "steady", day, 11 * 3600, 3600 * span, 1);
        Trace(context, result, "day", day, context.IsQuick ? 3 * 3600 : 0, context.IsQuick ? 5 * 3600 : 86_400, 1);
        Trace(context, result, "night", day, 20 * 3600, 2 * 3600 * span, 1);
        Trace(context, result, "bursty day", oneDay, context.IsQuick ? 4 * 3600 : 0, context.IsQuick ? 4 * 3600 : 86_400, 180);
        DecisionTime(context, result);
        result.Note($"Traces: ops/traces, played {ReferencePair.Speed} times as fast; bursty: one recorded day, each payment standing for 180 at once. Deadline {ReferencePair.DeadlineMicros / 1000} ms, a start of the accelerator is a minute of the trace.");
        result.Note("Devices: the reference pair (made for this, no measured device), whose break-even load the recorded day passes in the morning and in the evening.");
        result.Note("Oracle: a proven lower bound, dynamic programme over batch cuts, devices and switching with all arrivals known and devices that take any number of batches at once.");
        return result;
    }

    private static void Trace(BenchmarkContext context, BenchmarkResult result, string name, ArrivalTrace trace, int from, int seconds, int burst)
    {
        const int runInSeconds = 3600;
        context.Progress.Note = name;
        ArrivalTrace counted = trace.Slice(name, from, seconds), before = from >= runInSeconds ? trace.Slice(name, from - runInSeconds, runInSeconds) : trace.Slice(name, trace.Counts.Count - runInSeconds, runInSeconds);
        int runIn = (int)before.Total * burst;
        long[] arrivals = new ArrivalTrace(name, [.. before.Counts, .. counted.Counts]).Arrivals(ReferencePair.Speed, burst);
        IReadOnlyList<RoutedDevice> devices = ReferencePair.Devices();
        RouterOptions options = ReferencePair.Options;
        DeviceRouter router = new(devices, options);

        RoutingResult Played(IRoutePolicy policy)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            context.Progress.Done++;
            return RoutingSimulation.Run(policy, router, arrivals, ReferencePair.DeadlineMicros, runIn);
        }

        RoutingResult ours = Played(new RouterPolicy(router));
        double oracle = OfflineOracle.Money(devices, arrivals.AsSpan(runIn), ReferencePair.DeadlineMicros, options.GuardMicros, context.Cancellation);
        RoutingResult cpu = Played(new ThresholdPolicy(devices, options, int.MaxValue)), accelerator = Played(new ThresholdPolicy(devices, options, 1));
        RoutingResult threshold = s_thresholds.Select(t => Played(new ThresholdPolicy(devices, options, t))).MinBy(r => r.MoneyWithMisses(options.MissMoney));
        double mine = ours.MoneyWithMisses(options.MissMoney), best = new[] { cpu, accelerator, threshold }.Min(r => r.MoneyWithMisses(options.MissMoney));
        result.Figure($"{name}: money over the oracle's", "×", Better.Lower, mine / oracle, 1.03);
        // Decisions about the edges of the trace fall a few batches apart.
        result.Figure($"{name}: money over the best fixed policy's", "×", Better.Lower, mine / best, 1.001);
        result.Figure($"{name}: missed deadlines", "rows", Better.Lower, ours.MissedCount, 0);
        result.Note(string.Create(CultureInfo.InvariantCulture, $"{name}, {ours.RowCount:#,0} rows: oracle {oracle:0.000e+0} EUR; {Told(ours)}; {Told(cpu)}; {Told(accelerator)}; best threshold: {Told(threshold)}."));
    }

    private static string Told(in RoutingResult r) => string.Create(
        CultureInfo.InvariantCulture, $"{r.Policy} {r.Money:0.000e+0} EUR, {r.Joules:0.#} J, {r.MissedCount:#,0} missed, {r.BatchCount:#,0} batches, {r.SwitchCount} starts");

    /// <summary>Next and Account together, over queues of all lengths.</summary>
    private static void DecisionTime(BenchmarkContext context, BenchmarkResult result)
    {
        DeviceRouter router = new(ReferencePair.Devices(), ReferencePair.Options);
        DeviceState[] states = router.CreateStates(true, 0);
        RouterLoad load = router.CreateLoad();
        const int batch = 10_000;
        var times = new List<double>();
        long before = 0;
        for (int round = 0; round < (context.IsQuick ? 40 : 200); round++)
        {
            if (round == 20)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
            }

            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < batch; i++)
            {
                RouteQueue queue = new((i & 511) + 1, (i & 3) == 0, 0, 20_000, (i & 1) == 0 ? StreamGrade.CostSensitive : StreamGrade.LatencyCritical);
                RouteStep step = router.Next(queue, states, load, 10_000);
                if (!step.IsWait)
                {
                    router.Account(step, queue, states, ref load, 10_000);
                }
            }

            if (round >= 20)
            {
                times.Add(Stopwatch.GetElapsedTime(start).TotalNanoseconds / batch);
            }
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        result.Figure("a decision", "ns", Better.Lower, PairedRuns.Median(times), 200);
        // The list of times grows meanwhile.
        result.Figure("bytes allocated a decision", "B", Better.Lower, Math.Floor((double)allocated / ((long)times.Count * batch)), 0);
    }
}
