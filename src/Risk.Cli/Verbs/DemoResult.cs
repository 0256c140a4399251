using System.Diagnostics;
using System.Text.Json;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Inference.Devices;
using Risk.Service.Engine;
using Risk.Service.Engine.Challengers;

namespace Risk.Cli.Verbs;

/// <summary>Everything that <c>risk demo</c> found out, once for scripts and for people.</summary>
internal sealed class DemoResult(EngineOptions options, EmbeddedEngine engine, StreamInput input, RunReport report, RunOutcome outcome, IReadOnlyList<(Challenger Challenger, RunOutcome? Outcome)> challengers)
{
    public EngineOptions Options => options;
    public EmbeddedEngine Engine => engine;
    public StreamInput Input => input;
    public RunReport Report => report;
    public RunOutcome Outcome => outcome;

    /// <summary>What the challengers would have decided; null where one's log could not be opened.</summary>
    public IReadOnlyList<(Challenger Challenger, RunOutcome? Outcome)> Challengers => challengers;

    public long Transactions => report.After.Transactions;
    public long DeadLetters => report.After.DeadLetters;
    public long Duplicates => report.After.Duplicates;
    public long Decisions => report.After.Decisions;
    public CostPerThousand Cost { get; } = engine.Costs.PerThousand();
    public string RootHash { get; } = Convert.ToHexStringLower(engine.RootHash());
    public long MemoryPeakBytes { get; } = Process.GetCurrentProcess().PeakWorkingSet64;

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteString("stream", options.Definition.Schema.Name);
        json.WriteString("out", options.Directory);
        json.WriteNumber("transactions", Transactions);
        json.WriteNumber("decisions", Decisions);
        json.WriteNumber("deadLetters", DeadLetters);
        json.WriteNumber("duplicates", Duplicates);
        json.WriteNumber("late", report.LateCount);
        json.WriteNumber("transactionsThisRun", report.Transactions);
        json.WriteNumber("seconds", Math.Round(report.Elapsed.TotalSeconds, 3));
        json.WriteNumber("throughputPerSecond", Math.Round(report.PerSecond, 1));
        WriteLatency(json);
        Write(json, outcome);
        json.WriteStartObject("deadLetterCodes");
        foreach ((ErrorCode code, long count) in engine.DeadLetterCounts) { json.WriteNumber(code.Text(), count); }
        json.WriteEndObject();
        Write(json, Cost);
        json.WriteStartObject("log");
        json.WriteNumber("size", engine.LogSize);
        json.WriteString("rootHash", RootHash);
        json.WriteEndObject();
        json.WriteStartObject("engine");
        json.WriteString("model", engine.Model.Champion.Reference);
        json.WriteString("executionProvider", engine.Model.ExecutionProvider);
        json.WriteString("scorer", engine.Model.Reason);
        json.WriteNumber("stateBytes", engine.StateBytes);
        json.WriteNumber("memoryPeakBytes", MemoryPeakBytes);
        json.WriteNumber("entities", engine.Features.EntityCount);
        json.WriteEndObject();
        WriteDevices(json, engine.Model);
        WriteChallengers(json);
        json.WriteStartObject("recovery");
        json.WriteNumber("snapshot", engine.Recovery.Snapshot);
        json.WriteNumber("reapplied", engine.Recovery.Reapplied);
        json.WriteNumber("recoveredTails", engine.RecoveredTails);
        json.WriteEndObject();
    }

    private void WriteChallengers(Utf8JsonWriter json)
    {
        json.WriteStartArray("challengers");
        foreach ((Challenger challenger, RunOutcome? said) in challengers)
        {
            json.WriteStartObject();
            json.WriteString("name", challenger.Name);
            json.WriteString("model", challenger.Model.Champion.Reference);
            json.WriteString("out", challenger.Options.Directory);
            json.WriteString("executionProvider", challenger.Model.ExecutionProvider);
            json.WriteNumber("decisionsThisRun", challenger.Decisions);
            json.WriteNumber("otherOutcomesThisRun", challenger.OtherOutcomes);
            json.WriteNumber("behind", challenger.State.Sum(s => s.Behind));
            json.WriteString("problem", challenger.State.FirstOrDefault(s => s.Problem is not null).Problem);
            if (said is not null) { Write(json, said); }
            Write(json, challenger.PerThousand());
            WriteDevices(json, challenger.Model);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, RunOutcome said)
    {
        WriteQuality(json, said.Quality);
        json.WriteStartObject("outcomes");
        foreach (Outcome each in Enum.GetValues<Outcome>()) { json.WriteNumber(each.ToString().ToLowerInvariant(), said.Count(each)); }
        json.WriteEndObject();
        WriteMoney(json, said.Business);
    }

    private static void Write(Utf8JsonWriter json, CostPerThousand cost)
    {
        json.WriteStartObject("cost");
        if (cost.IsPriced)
        {
            json.WriteNumber("perThousand", cost.Money);
            json.WriteString("currency", cost.Currency);
            json.WriteNumber("joulesPerThousand", Math.Round(cost.Joules, 6));
        }
        json.WriteString("method", cost.Method);
        json.WriteEndObject();
    }

    private static void WriteDevices(Utf8JsonWriter json, ServingModel model)
    {
        json.WriteStartArray("devices");
        foreach ((string device, string provider, DeviceStatistics statistics) in model.Scorers)
        {
            json.WriteStartObject();
            json.WriteString("device", device);
            json.WriteString("executionProvider", provider);
            json.WriteNumber("batches", statistics.Batches);
            json.WriteNumber("rows", statistics.Rows);
            json.WriteNumber("failures", statistics.Failures);
            json.WriteNumber("losses", statistics.Losses);
            json.WriteNumber("hangs", statistics.Hangs);
            json.WriteNumber("recoveries", statistics.Recoveries);
            json.WriteNumber("computeSeconds", Math.Round(statistics.ComputeMicros / 1e6, 6));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private void WriteLatency(Utf8JsonWriter json)
    {
        json.WriteStartObject("latencyMicros");
        WritePercentiles(json, report.Latencies.Total);
        json.WriteStartObject("stages");
        foreach (string stage in StageLatencies.Names)
        {
            json.WriteStartObject(stage);
            WritePercentiles(json, report.Latencies[stage]);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WritePercentiles(Utf8JsonWriter json, LatencyHistogram histogram)
    {
        json.WriteNumber("p50", histogram.Percentile(50));
        json.WriteNumber("p99", histogram.Percentile(99));
        json.WriteNumber("p999", histogram.Percentile(99.9));
        json.WriteNumber("max", histogram.Max);
    }

    private static void WriteQuality(Utf8JsonWriter json, Quality quality)
    {
        json.WriteStartObject("quality");
        WriteOptional(json, "aucRoc", quality.AucRoc);
        WriteOptional(json, "averagePrecision", quality.AveragePrecision);
        WriteOptional(json, $"cardPrecisionAt{quality.TopK}", quality.CardPrecision);
        json.WriteString("period", quality.Period);
        json.WriteBoolean("publishedProtocol", quality.IsPublishedProtocol);
        json.WriteNumber("rows", quality.RowCount);
        json.WriteEndObject();
    }

    private static void WriteMoney(Utf8JsonWriter json, BusinessFigures figures)
    {
        json.WriteStartObject("business");
        json.WriteNumber("frauds", figures.FraudCount);
        json.WriteNumber("fraudsCaught", figures.FraudCaughtCount);
        json.WriteNumber("fraudMoney", Math.Round(figures.FraudMoney, 2));
        json.WriteNumber("fraudMoneyCaught", Math.Round(figures.FraudMoneyCaught, 2));
        json.WriteNumber("reviews", figures.ReviewedCount);
        WriteOptional(json, "reviewPrecision", figures.ReviewPrecision);
        json.WriteEndObject();
    }

    private static void WriteOptional(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number) { json.WriteNumber(name, Math.Round(number, 6)); } else { json.WriteNull(name); }
    }
}
