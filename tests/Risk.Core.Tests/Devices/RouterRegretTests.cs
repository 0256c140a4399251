using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Devices.Simulation;
using Risk.Core.Tests.Decisions;

namespace Risk.Core.Tests.Devices;

public sealed class RouterRegretTests
{
    [Theory]
    [InlineData("steady", 11 * 3600, 3600)]
    [InlineData("morning, over the break-even load", 4 * 3600, 4 * 3600)]
    [InlineData("evening, under the break-even load", 16 * 3600, 5 * 3600)]
    [InlineData("night", 21 * 3600, 3 * 3600)]
    [InlineData("bursty", 11 * 3600, 3 * 3600)]
    public void Router_StaysWithinThreePercentOfTheOracle_AndIsNeverWorseThanTheBestFixedPolicy(string name, int from, int seconds)
    {
        bool isBursty = name == "bursty";
        const int runInSeconds = 1200;
        ArrivalTrace trace = Trace(isBursty ? "ops/traces/card-payments-one-day.csv" : "ops/traces/card-payments-day.csv").Slice(name, from - runInSeconds, seconds + runInSeconds);
        int burst = isBursty ? 180 : 1, runIn = trace.Counts.Take(runInSeconds).Sum() * burst;
        long[] arrivals = trace.Arrivals(ReferencePair.Speed, burst);
        IReadOnlyList<RoutedDevice> devices = ReferencePair.Devices();
        DeviceRouter router = new(devices, ReferencePair.Options);
        double miss = ReferencePair.Options.MissMoney;

        RoutingResult ours = RoutingSimulation.Run(new RouterPolicy(router), router, arrivals, ReferencePair.DeadlineMicros, runIn);
        double oracle = OfflineOracle.Money(devices, arrivals.AsSpan(runIn), ReferencePair.DeadlineMicros, ReferencePair.Options.GuardMicros);
        RoutingResult[] fixedPolicies = [.. new[] { 1, 4, 16, 64, int.MaxValue }.Select(threshold =>
            RoutingSimulation.Run(new ThresholdPolicy(devices, ReferencePair.Options, threshold), router, arrivals, ReferencePair.DeadlineMicros, runIn))];
        double best = fixedPolicies.Min(result => result.MoneyWithMisses(miss));

        string told = $"{name}: oracle {oracle:E3}, ours {ours}, fixed {string.Join("; ", fixedPolicies)}";
        Assert.True(ours.MissedCount == 0, told);
        Assert.True(ours.Money >= oracle * 0.999999, told);
        Assert.True(ours.Money <= oracle * 1.03, told);
        Assert.True(ours.MoneyWithMisses(miss) <= best * 1.001, told);
    }

    [Fact]
    public void Oracle_EqualsEveryCutTriedByHand()
    {
        Random random = new(7);
        for (int round = 0; round < 60; round++)
        {
            IReadOnlyList<RoutedDevice> devices = ReferencePair.Devices(acceleratorHourly: random.NextDouble() * 2);
            long[] arrivals = new long[random.Next(1, 7)];
            for (int i = 0; i < arrivals.Length; i++)
                arrivals[i] = (i == 0 ? 0 : arrivals[i - 1]) + random.Next(0, 15_000);
            // Every other round with a second accelerator: dearer, and with other batches to its name.
            if (round % 2 == 1)
                devices = [.. devices, ReferencePair.Devices(acceleratorHourly: random.NextDouble() * 3, microsPerRow: random.Next(1, 400))[1]];
            double oracle = OfflineOracle.Money(devices, arrivals, 20_000, 200);
            double tried = Enumerable.Range(0, 1 << (devices.Count - 1)).Min(on => Tried(devices, arrivals, 0, on, 0, 0));
            Assert.Equal(tried / 1e12, oracle, 1e-15);
        }
    }

    [Fact]
    public void NoPolicyBeatsTheOracle_OnRandomTraces()
    {
        Random random = new(11);
        for (int round = 0; round < 30; round++)
        {
            IReadOnlyList<RoutedDevice> devices = ReferencePair.Devices(acceleratorHourly: random.NextDouble());
            DeviceRouter router = new(devices, ReferencePair.Options);
            long[] arrivals = new long[random.Next(1, 2_000)];
            int gap = random.Next(2, 2_000);
            for (int i = 0; i < arrivals.Length; i++)
                arrivals[i] = (i == 0 ? 0 : arrivals[i - 1]) + random.Next(gap);
            double oracle = OfflineOracle.Money(devices, arrivals, 20_000, 200);
            foreach (IRoutePolicy policy in (IRoutePolicy[])[new RouterPolicy(router), new RouterPolicy(router, startsOn: true), new ThresholdPolicy(devices, ReferencePair.Options, 8), new ThresholdPolicy(devices, ReferencePair.Options, 1), new ThresholdPolicy(devices, ReferencePair.Options, int.MaxValue)])
            {
                RoutingResult result = RoutingSimulation.Run(policy, router, arrivals, 20_000);
                Assert.True(result.MissedCount > 0 || result.Money >= oracle * 0.999999, $"round {round}: {result} under {oracle:E3}");
                Assert.Equal(arrivals.Length, result.RowCount);
            }
        }
    }

    [Theory]
    [InlineData("1,x", "line 1")]
    [InlineData("# note\n-1", "line 2")]
    [InlineData("0,0", "$")]
    [InlineData("", "$")]
    public void TraceThatIsNone_IsACodedError(string text, string path)
    {
        List<DefinitionError> errors = [];
        Assert.False(ArrivalTrace.TryRead(text, "t.csv", errors, out _));
        Assert.Equal(("TRACE_INVALID", path), (Assert.Single(errors).Code, errors[0].Path));
    }

    /// <summary>Every way to cut, to place and to switch; sets of accelerators as bits.</summary>
    private static double Tried(IReadOnlyList<RoutedDevice> devices, long[] arrivals, int from, int on, long leftAt, double spent)
    {
        if (from == arrivals.Length)
            return spent;
        double best = double.PositiveInfinity;
        for (int to = from + 1; to <= arrivals.Length; to++)
        {
            long leaves = arrivals[to - 1], left = 19_800 - (leaves - arrivals[from]), gap = from == 0 ? 0 : leaves - leftAt;
            for (int next = 0; next < 1 << (devices.Count - 1); next++)
            {
                double power = 0;
                for (int d = 1; d < devices.Count; d++)
                {
                    if ((next >> (d - 1) & 1) != 0)
                        power += (on >> (d - 1) & 1) != 0 ? Math.Min(gap * devices[d].OnPicoPerMicro, devices[d].StartPico) : devices[d].StartPico;
                }
                for (int d = 0; d < devices.Count; d++)
                {
                    if ((d == 0 || (next >> (d - 1) & 1) != 0) && devices[d].Of(to - from).P99Micros <= left)
                        best = Math.Min(best, Tried(devices, arrivals, to, next, leaves, spent + power + devices[d].Of(to - from).Money));
                }
            }
        }
        return best;
    }

    private static ArrivalTrace Trace(string path)
    {
        List<DefinitionError> errors = [];
        Assert.True(ArrivalTrace.TryRead(File.ReadAllText(Shipped.PathOf(path)), path, errors, out ArrivalTrace? trace), string.Join('\n', errors));
        return trace;
    }
}
