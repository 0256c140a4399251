using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Costs;
using Risk.Core.Tests.Decisions;
using static Risk.Core.Tests.Costs.PriceBookTests;

namespace Risk.Core.Tests.Costs;

public sealed class MachineCostTests
{
    // 2 cores, 0.072 EUR/h (10 pico-EUR a core-µs), 20 W idle, 40 W full, PUE 1.5, 0.2 EUR/kWh.
    private static readonly PriceBook s_rented = Book("rented");
    private static readonly PriceBook s_owned = Book("owned");

    [Fact]
    public void RentedMachine_CostsItsHours_BusyOrNot()
    {
        CostLedger meter = Measured(s_rented);
        // One hour reserved, half of one of the two cores busy.
        Cost cost = meter.Charge(cpuMicros: 1_800_000_000, reservedMicros: 3_600_000_000, decisions: 1000);
        Assert.Equal(0.072m, cost.Money);
        Assert.Equal((20 + (20 * 0.25)) * 1.5 * 3600, cost.Joules, 1e-6);
        Assert.Equal(0.072m / 4, meter.Active.Money);
        Assert.Equal(0.072m * 3 / 4, meter.Idle.Money);
        Assert.Equal(meter.Total, meter.Active + meter.Idle);

        CostPerThousand perThousand = meter.PerThousand();
        Assert.Equal((0.072m, "EUR"), (perThousand.Money, perThousand.Currency));
        Assert.Equal(cost.Joules, perThousand.Joules, 1e-6);
        Assert.Contains("measured CPU time", perThousand.Method, StringComparison.Ordinal);
        Assert.Contains("assumed", perThousand.Method, StringComparison.Ordinal);
    }

    [Fact]
    public void OwnedMachine_CostsItsAmortisationAndPower()
    {
        CostLedger meter = Measured(s_owned);
        Cost cost = meter.Charge(cpuMicros: 7_200_000_000, reservedMicros: 3_600_000_000, decisions: 1);
        // 876.6 EUR over 5 years of 8,766 h is 0.02 EUR/h; 40 W × 1.5 for an hour is 0.06 kWh.
        Assert.Equal(0.02m + (0.06m * 0.2m), cost.Money);
        Assert.Equal(default, meter.Idle);
    }

    [Fact]
    public void ChargesAndShares_AddUpExactly() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            Random random = new(seed);
            CostLedger meter = Measured(random.Next(2) == 0 ? s_rented : s_owned);
            Cost charged = default, shared = default;
            long decisions = 0;
            for (int batch = random.Next(1, 60); batch > 0; batch--)
            {
                int count = random.Next(4) == 0 ? 0 : random.Next(1, 200);
                Cost cost = meter.Charge(random.Next(5000), random.Next(4000), count);
                charged += cost;
                decisions += count;
                if (count == 0 && cost != default)
                    return false;
                for (int index = 0; index < count; index++)
                    shared += cost.Share(index, count);
            }
            return charged + meter.Unallocated == meter.Total && shared == charged && meter.Active + meter.Idle == meter.Total
                && meter.Idle is { PicoUnits: >= 0, NanoJoules: >= 0 } && meter.DecisionCount == decisions;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public void ManySmallCharges_CostTheSameAsOneLargeOne()
    {
        CostLedger small = Measured(s_owned), large = Measured(s_owned);
        for (int i = 0; i < 10_000; i++)
            small.Charge(cpuMicros: 7, reservedMicros: 11, decisions: 1);
        large.Charge(cpuMicros: 70_000, reservedMicros: 110_000, decisions: 10_000);
        Assert.Equal(large.Total, small.Total);
    }

    [Fact]
    public void CpuBeyondTheReservedTime_IsChargedAsReserved()
    {
        CostLedger meter = Measured(s_rented);
        Assert.Equal(0.072m, meter.Charge(cpuMicros: 7_200_000_000, reservedMicros: 1, decisions: 1).Money);
        Assert.Equal(default, meter.Idle);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(10, 4)]
    [InlineData(3, 4)]
    public void Share_GivesWhatDoesNotDivideToTheFirst(long total, int count)
    {
        Cost cost = new(total, total * 2);
        long[] shares = [.. Enumerable.Range(0, count).Select(index => cost.Share(index, count).PicoUnits)];
        Assert.Equal(total, shares.Sum());
        Assert.Equal(shares.OrderDescending(), shares);
        Assert.InRange(shares[0] - shares[^1], 0, 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => cost.Share(count, count));
    }

    [Fact]
    public void ModelledCost_DependsOnTheDecisionsNumberAlone()
    {
        MachinePrice machine = s_rented.Machines[0];
        CostLedger whole = CostLedger.Modelled(s_rented, machine), resumed = CostLedger.Modelled(s_rented, machine, decisionsBefore: 600), batched = CostLedger.Modelled(s_rented, machine);
        Cost[] costs = [.. Enumerable.Range(0, 1000).Select(_ => whole.Charge(1))];
        Assert.Equal(costs[600..], Enumerable.Range(0, 400).Select(_ => resumed.Charge(1)));
        foreach (int count in (int[])[1, 7, 92, 900])
            batched.Charge(count);
        Assert.Equal((whole.Total, whole.Total), (batched.Total, resumed.Total));
        Assert.Equal(whole.Total, costs.Aggregate((left, right) => left + right));

        // 20 µs at 50 % utilisation reserve 40 core-µs of 10 pico-EUR: 400 a decision.
        Assert.Equal(4e-7m, whole.PerThousand().Money);
        Assert.Contains("modelled: 20 µs", whole.PerThousand().Method, StringComparison.Ordinal);
        Assert.Contains("not measured", whole.PerThousand().Method, StringComparison.Ordinal);
    }

    [Fact]
    public void MetersOfOneKind_RefuseTheOthersCharge()
    {
        Assert.Throws<InvalidOperationException>(() => Measured(s_rented).Charge(1));
        Assert.Throws<InvalidOperationException>(() => CostLedger.Modelled(s_rented, s_rented.Machines[0]).Charge(1, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Measured(s_rented).Charge(-1, 1, 1));
        Assert.Equal(0, Measured(s_rented).PerThousand().Money);
    }

    [Fact]
    public void EnergyHasLowAndHigh()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json"));
        CostLedger meter = Measured(book);
        meter.Charge(cpuMicros: 1_000_000, reservedMicros: 1_000_000, decisions: 1000);
        CostPerThousand cost = meter.PerThousand();
        Assert.Equal(1.58 * (2.5 + (9.4 - 2.5) / 2), cost.JoulesLow, 1e-9);
        Assert.Equal(1.58 * (3.75 + (12.5 - 3.75) / 2), cost.Joules, 1e-6);
        Assert.Equal(1.58 * (20 + (45 - 20) / 2.0), cost.JoulesHigh, 1e-9);
    }

    [Fact]
    public void Method_NamesTheMachine_AndWhatItsPriceRestsOn()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json"));
        Assert.Contains("cloud-2, rented at 0.11592 USD/h (published, at 0.8442 EUR/USD)", Measured(book).Describe(), StringComparison.Ordinal);
        Assert.Contains("server-64, owned, 12000 EUR over 5 years (assumed) and 0.2 EUR/kWh (published)", CostLedger.Measured(book, book.DefaultMachine(Tenure.Owned)!).Describe(), StringComparison.Ordinal);
    }

    [Fact]
    public void PriceInAnotherCurrency_IsCharged_AtItsRate()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json"));
        CostLedger meter = Measured(book);
        meter.Charge(cpuMicros: 0, reservedMicros: 3_600_000_000, decisions: 1000);
        Assert.Equal(0.11592 * 0.8442, (double)meter.PerThousand().Money, 1e-9);
        Assert.Equal(["$.machines[0].hourly", "$.currencies[0].rate"], book.PricesOf(book.DefaultMachine()!).Select(price => price.Path));
    }

    [Fact]
    public void Charge_AllocatesNothing()
    {
        CostLedger measured = Measured(s_owned), modelled = CostLedger.Modelled(s_owned, s_owned.Machines[0]);
        Cost sum = measured.Charge(5, 10, 3) + modelled.Charge(1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            sum += measured.Charge(5, 10, 3).Share(1, 3) + modelled.Charge(1);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(sum.PicoUnits > 0);
    }

    private static CostLedger Measured(PriceBook book) => CostLedger.Measured(book, book.DefaultMachine()!);

    private static PriceBook Book(string tenure)
    {
        JsonNode root = JsonNode.Parse(Shipped.Bytes("ops/prices/default.json"))!;
        root["pue"] = JsonNode.Parse(Figure(1.5, "1"));
        root["power"] = JsonNode.Parse(Figure(0.2, "EUR/kWh"));
        JsonNode machine = root["machines"]![0]!;
        machine["tenure"] = tenure;
        machine["hourly"] = JsonNode.Parse(Figure(0.072, "EUR/h"));
        machine["purchase"] = JsonNode.Parse(Figure(876.6, "EUR"));
        machine["lifeYears"] = JsonNode.Parse(Figure(5, "years"));
        machine["idleWatts"] = JsonNode.Parse(Figure(20, "W"));
        machine["fullWatts"] = JsonNode.Parse(Figure(40, "W"));
        machine["utilisation"] = JsonNode.Parse(Figure(0.5, "1"));
        machine["cpuMicrosPerDecision"] = JsonNode.Parse(Figure(20, "µs"));
        return Read(Encoding.UTF8.GetBytes(root.ToJsonString()));
    }
}
