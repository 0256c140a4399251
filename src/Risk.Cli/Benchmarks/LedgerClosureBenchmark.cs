using System.Diagnostics;
using System.Globalization;
using Risk.Cli.Verbs;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Storage.Log;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// <c>ledger-closure</c>: whether the costs that decisions carry add up to what was metered, and what the metering costs. Once
/// through the whole engine, from the records of its log; once with accelerators that idle, pad, fail and lose hedges.
/// </summary>
internal sealed class LedgerClosureBenchmark : IBenchmark
{
    public string Name => "ledger-closure";

    public string Measures => "decisions' costs against the metered total, and the ledger's share of a decision's time";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        context.Progress.Note = "engine";
        double nanosPerDecision = Engine(context, result);
        context.Progress.Note = "accelerators";
        Accelerators(context, result);
        Overhead(context, result, nanosPerDecision);
        return result;
    }

    /// <summary>The shipped stream through the embedded engine; returns CPU nanoseconds a decision.</summary>
    private static double Engine(BenchmarkContext context, BenchmarkResult result)
    {
        int transactions = context.IsQuick ? 50_000 : 500_000;
        string directory = Directory.CreateTempSubdirectory("risk-ledger-").FullName;
        try
        {
            StreamFiles files = StreamFiles.Load("card-payments");
            KeyRing keys = KeyRing.OpenOrCreate(directory);
            (PriceBook prices, MachinePrice machine) = PriceBookFile.LoadDefault();
            CostLedger meter;
            long size;
            TimeSpan cpu;
            using (StreamInput input = StreamInput.Open(files, null, null, keys))
            {
                var options = new EngineOptions(directory, files.Definition, ModelFiles.Load(files.Definition), keys, input.Source.Identity.Name, input.Labels, new BatchPolicy(), prices, machine, false);
                using EmbeddedEngine engine = EmbeddedEngine.Open(options, out _, null) ?? throw new InvalidOperationException("the shipped stream does not open");
                TransactionParser parser = input.CreateParser(engine.Keys, false);
                TimeSpan before = Environment.CpuUsage.TotalTime;
                engine.Run(input.Source, parser, new RunOptions(0, transactions, false, false), context.Cancellation);
                cpu = Environment.CpuUsage.TotalTime - before;
                (meter, size) = (engine.Costs, engine.LogSize);
            }

            Cost decisions = default;
            using DecisionLogReader reader = DecisionLogReader.Open(directory);
            while (reader.Read())
            {
                if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) == RecordFault.None && record.Kind == RecordKind.Decision)
                {
                    decisions += new Cost((long)Math.Round(record.CostMoney * 1e12), (long)Math.Round(record.CostJoules * 1e9));
                }
            }

            Figure(result, "engine", decisions, meter.Total, meter.Unallocated);
            result.Note(string.Create(CultureInfo.InvariantCulture, $"engine: {size:#,0} records, metered {meter.Total.Money:0.000e+0} {prices.Currency} and {meter.Total.Joules:#,0.#} J, of it idle at the end, borne by no decision, {meter.Unallocated.Money:0.0e+0} ({meter.Unallocated.Money / meter.Total.Money:P2}), counted apart; {meter.Describe()}."));
            return cpu.TotalNanoseconds / Math.Max(1, size);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Accelerators(BenchmarkContext context, BenchmarkResult result)
    {
        CostLedger ledger = Ledger();
        var random = new Random(1);
        Cost decisions = default;
        for (int batch = 0; batch < (context.IsQuick ? 20_000 : 200_000); batch++)
        {
            DeviceMeter device = ledger.Devices[random.Next(ledger.Devices.Count)];
            int rows = random.Next(1, 512);
            device.Ran(random.Next(50, 2_000), rows, random.Next(4) == 0 ? 512 : rows, random.Next(100) switch { 0 => RunFate.Failed, 1 => RunFate.HedgeLost, _ => RunFate.Used });
            int count = random.Next(20) == 0 ? 0 : rows;
            Cost cost = ledger.Charge(random.Next(3_000), random.Next(4_000), count);
            for (int i = 0; i < count; i++)
            {
                // As a record holds it, and as it is read back.
                Cost share = cost.Share(i, count);
                decisions += new Cost((long)Math.Round(share.PicoUnits * 1e-12 * 1e12), (long)Math.Round(share.Joules * 1e9));
            }

            if (random.Next(50) == 0)
            {
                device.IsOn = !device.IsOn;
            }
        }

        Figure(result, "accelerators", decisions, ledger.Total, ledger.Unallocated);
        result.Note(string.Create(CultureInfo.InvariantCulture, $"accelerators: of {ledger.Total.Money:0.000e+0} {ledger.Book.Currency}, idle {ledger.Idle.Money / ledger.Total.Money:P1}, waste {ledger.Waste.Money / ledger.Total.Money:P1} (padding, failed runs, lost hedges); active, waste and idle add up to it: {ledger.Active + ledger.Waste + ledger.Idle == ledger.Total}."));
    }

    private static void Overhead(BenchmarkContext context, BenchmarkResult result, double nanosPerDecision)
    {
        const int rows = 128;
        CostLedger ledger = Ledger();
        long sum = 0;
        var times = new List<double>();
        for (int round = 0; round < (context.IsQuick ? 20 : 60); round++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int batch = 0; batch < 500; batch++)
            {
                ledger.Devices[0].Ran(100, rows, rows, RunFate.Used);
                Cost cost = ledger.Charge(400, 500, rows);
                for (int i = 0; i < rows; i++)
                {
                    sum += cost.Share(i, rows).PicoUnits;
                }
            }

            times.Add(Stopwatch.GetElapsedTime(start).TotalNanoseconds / (500 * rows));
        }

        double nanos = PairedRuns.Median(times.Skip(5));
        result.Figure("a decision's part of the ledger, batch 128", "ns", Better.Lower, nanos);
        result.Figure("overhead on a decision's CPU time", "%", Better.Lower, nanos / nanosPerDecision * 100, 0.5);
        result.Note(string.Create(CultureInfo.InvariantCulture, $"overhead: of {nanosPerDecision:#,0} ns of CPU a decision in the engine run, all threads; reading the process's CPU time once a batch is not in it (checksum {sum})."));
    }

    /// <param name="unallocated">What came after the last decision: no decision bears it, so it is not held against their sum.</param>
    private static void Figure(BenchmarkResult result, string what, Cost decisions, Cost total, Cost unallocated) =>
        result.Figure($"{what}: difference of decisions and meter", "%", Better.Lower, Math.Abs(1 - (double)(decisions.Money / (total - unallocated).Money)) * 100, 1);

    private static CostLedger Ledger()
    {
        (PriceBook book, MachinePrice machine) = PriceBookFile.LoadDefault();
        return CostLedger.Measured(book, machine, [.. book.Devices.Take(4).Select(device => new DeviceMeter(DeviceRates.OfCard(book, device, device.Tenure)))]);
    }
}
