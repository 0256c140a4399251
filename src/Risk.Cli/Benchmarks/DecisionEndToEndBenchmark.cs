using System.Diagnostics;
using System.Globalization;
using Risk.Cli.Verbs;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Models;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Streams;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// The whole path beside the stack that a bank would wire by hand: Redis for the history, ONNX Runtime for the score,
/// a PostgreSQL commit for the decision (<see cref="HandWiredStack"/>). Capacity: as fast as each goes. Latency: open loop at
/// the same rate, four fifths of the peer's capacity, from the intended send to the durable decision.
/// </summary>
internal sealed class DecisionEndToEndBenchmark : IBenchmark
{
    public string Name => "decision-e2e";

    public string Measures => "the whole path to a durable decision: capacity, and latency at an equal open-loop rate";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        StreamFiles files = StreamFiles.Load("card-payments");
        byte[][] records = Read(files, context.IsQuick ? 60_000 : 400_000);
        var ours = new OurStack(files, records);

        RecordedRun capacity = ours.Run(0, records.Length);
        result.Figure("capacity, durable", "decisions/s", Better.Higher, capacity.PerSecond, 100_000);
        result.Note(string.Create(CultureInfo.InvariantCulture, $"{records.Length:N0} recorded card payments from memory; reading and parsing them is in our figures, {capacity.GeneratorShare:P1} of the CPU time went into handing them over"));
        if (HandWiredStack.TryStart(files, records, out HandWiredStack? peer, out string? whyNot)) { using (peer) { Compare(context, result, ours, peer); } }
        else { result.Skip(whyNot); }
        return result;
    }

    private static void Compare(BenchmarkContext context, BenchmarkResult result, OurStack ours, HandWiredStack peer)
    {
        int peerRecords = context.IsQuick ? 2_000 : 10_000, ourRecords = context.IsQuick ? 60_000 : 400_000;
        var capacity = PairedRuns.Measure(context, "capacity", () => ours.Run(0, ourRecords).PerSecond, () => peer.Run(0, peerRecords).PerSecond);
        result.Compare("capacity", "decisions/s", Better.Higher, peer.Version, capacity, 20);

        double rate = Math.Floor(PairedRuns.Median(capacity.Peer) * 0.8);
        int records = (int)(rate * (context.IsQuick ? 2 : 5));
        var percentiles = new (string Name, double Percent, double? Bar)[] { ("p50", 50, null), ("p99", 99, 10), ("p99.9", 99.9, null), ("p99.99", 99.99, null), ("max", 100, null) };
        var our = new List<LatencyHistogram>();
        var their = new List<LatencyHistogram>();
        PairedRuns.Measure(context, string.Create(CultureInfo.InvariantCulture, $"latency at {rate:N0}/s"),
            () => Add(our, ours.Run(rate, records).Latency), () => Add(their, peer.Run(rate, records).Latency));
        foreach ((string name, double percent, double? bar) in percentiles)
        {
            double[] Of(List<LatencyHistogram> runs) => [.. runs.Skip(1).Select(h => (double)Math.Max(1, h.Percentile(percent)))];
            result.Compare(string.Create(CultureInfo.InvariantCulture, $"{name} at {rate:N0}/s"), "µs", Better.Lower, peer.Version, new PairedRuns(Of(our), Of(their)), bar);
        }
    }

    private static double Add(List<LatencyHistogram> runs, LatencyHistogram latency)
    {
        runs.Add(latency);
        return latency.Percentile(99);
    }

    private static byte[][] Read(StreamFiles files, int count)
    {
        using FileTransactionSource source = FileTransactionSource.Open(files.RecordedTransactions!, files.Definition.Schema, out CodedError error) ?? throw new InvalidOperationException(error.ToString());
        var records = new List<byte[]>(count);
        while (records.Count < count && source.TryRead(out SourceRecord record)) { records.Add(record.Bytes.ToArray()); }
        return [.. records];
    }
}

/// <summary>What one run of either stack gave.</summary>
/// <param name="GeneratorShare">Of the process's CPU time, what the load generator took; NaN where it was not told apart.</param>
internal sealed record RecordedRun(double PerSecond, LatencyHistogram Latency, double GeneratorShare);

/// <summary>The embedded engine as <c>risk demo</c> runs it, on records in memory, each run in a fresh directory.</summary>
internal sealed class OurStack(StreamFiles files, byte[][] records)
{
    public RecordedRun Run(double rate, int count)
    {
        string folder = BenchmarkFolder.Create("e2e");
        try
        {
            (PriceBook prices, MachinePrice machine) = PriceBookFile.LoadDefault();
            KeyRing keys = KeyRing.Reproducible(files.Definition.Schema.Name, folder);
            using EmbeddedEngine engine = EmbeddedEngine.Open(new EngineOptions(folder, files.Definition, ModelFiles.Load(files.Definition.Schema.Model!), keys, "memory", null, new BatchPolicy(), prices, machine, false), out ModelRefusal? refusal)
                ?? throw new InvalidOperationException(refusal!.ToString());
            using var source = new MemorySource(records, count);
            TransactionParser parser = CsvTransactionParser.Create(files.Definition.Schema, engine.Keys, "transaction_id,time,customer_id,terminal_id,amount"u8, out CodedError error) ?? throw new InvalidOperationException(error.ToString());
            TimeSpan before = Environment.CpuUsage.TotalTime;
            RunReport report = engine.Run(source, parser, new RunOptions(rate, long.MaxValue, false, true));
            double cpu = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
            return new RecordedRun(report.PerSecond, report.Latencies.Total, source.SecondsEach() * count / cpu);
        }
        finally
        {
            BenchmarkFolder.Delete(folder);
        }
    }

    private sealed class MemorySource(byte[][] records, int count) : ITransactionSource
    {
        private int _next;

        public SourceIdentity Identity => new("memory", -1, default);
        public long BytesRead => 0;
        public bool WouldWait => false;
        public CodedError? Failure => null;

        public bool TryRead(out SourceRecord record)
        {
            record = _next < count ? new SourceRecord(records[_next], _next + 1, ErrorCode.None) : default;
            return _next++ < count;
        }

        public bool SkipTo(long lineNumber) => false;

        public void Dispose()
        {
        }

        /// <summary>What handing over one record costs.</summary>
        public double SecondsEach()
        {
            _next = 0;
            long started = Stopwatch.GetTimestamp();
            while (TryRead(out _)) { }
            return Stopwatch.GetElapsedTime(started).TotalSeconds / count;
        }
    }
}
