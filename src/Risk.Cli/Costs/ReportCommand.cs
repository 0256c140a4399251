using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Service.Costs;
using Risk.Storage.Log;
using Spectre.Console;

namespace Risk.Cli.Costs;

/// <summary><c>risk cost report [DIR]</c>: what the decisions of a log cost, by day, stream, model and device.</summary>
internal static class ReportCommand
{
    private static readonly Argument<string> Folder = new("DIR") { Description = "The directory of a risk demo or risk serve (store.directory), or a log itself; the meter's figures come from its costs.jsonl.", DefaultValueFactory = _ => CommonOptions.OutDefault };

    public static Command Create()
    {
        var command = new Command("report", "What the decisions of a log cost, by day, stream, model and device; idle time and waste.") { Folder };
        command.SetVerb(Run);
        return command;
    }

    private readonly record struct Key(DateOnly Day, string Stream, string Model, string Device, string Provider, string Method)
    {
        public bool IsUnpriced => Method == UnpricedMethod;
    }

    private static readonly string UnpricedMethod = Encoding.UTF8.GetString(CostLedger.Unpriced);

    private struct Sum
    {
        public long Decisions;
        public Cost Cost;
    }

    private static ExitCode Run(VerbContext context)
    {
        string directory = context.Get(Folder)!;
        IReadOnlyList<string> logs = RunDirectory.RequireLogs(directory);
        Dictionary<Key, Sum> sums = context.Output.Run("Adding up", "records", null, report => AddUp(logs, report, context.Cancellation));
        (Key Key, Sum Sum)[] rows = [.. sums.Select(pair => (pair.Key, pair.Value)).OrderBy(pair => pair.Key.Day).ThenBy(pair => pair.Key.Stream, StringComparer.Ordinal).ThenBy(pair => pair.Key.Model, StringComparer.Ordinal).ThenBy(pair => pair.Key.Device, StringComparer.Ordinal)];
        Cost total = rows.Aggregate(default(Cost), (sum, row) => sum + row.Sum.Cost);
        long decisions = rows.Sum(row => row.Sum.Decisions);
        ILookup<bool, MeteredRun> read = CostsFile.Read(directory).ToLookup(run => run.IsPriced);
        MeteredRun[] runs = [.. read[true]];
        string? currency = CostWords.Currency(runs);
        if (context.Output.Json)
        {
            context.Output.WriteJson(json => Write(json, rows, total, decisions, runs, currency));
        }
        else
        {
            Show(context.Output, rows, total, decisions, runs, currency);
            foreach (string method in read[false].Select(run => run.Method).Distinct())
            {
                context.Output.WriteLine($"Not metered: {method}.");
            }
        }

        return ExitCode.Done;
    }

    private static Dictionary<Key, Sum> AddUp(IReadOnlyList<string> logs, ProgressReport report, CancellationToken cancellation)
    {
        var sums = new Dictionary<Key, Sum>();
        var texts = new Texts();
        foreach (string log in logs)
        {
            AddUp(log, sums, texts, report, cancellation);
        }

        return sums;
    }

    private static void AddUp(string directory, Dictionary<Key, Sum> sums, Texts texts, ProgressReport report, CancellationToken cancellation)
    {
        using DecisionLogReader reader = DecisionLogReader.Open(directory);
        report.Total = reader.End;
        while (reader.Read())
        {
            if ((reader.Sequence & 0x3fff) == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                report.Done = reader.Sequence;
            }

            RecordFault fault = DecisionRecordCodec.Read(reader.Record, out DecisionRecord record);
            if (fault != RecordFault.None)
            {
                throw new DecisionLogException(LogCodes.Corrupt, $"Record {reader.Sequence} in {directory} cannot be read ({fault}); `risk verify {directory}` says more.");
            }

            if (record.Kind != RecordKind.Decision)
            {
                continue;
            }

            var day = DateOnly.FromDateTime(DateTime.UnixEpoch.AddMicroseconds(record.DecisionTimeMicros));
            var key = new Key(day, texts.Of(record.Stream), texts.Model(record.ModelDigest), texts.Of(record.Device), texts.Of(record.ExecutionProvider), texts.Of(record.CostMethod));
            ref Sum sum = ref CollectionsMarshal.GetValueRefOrAddDefault(sums, key, out _);
            sum.Decisions++;
            // Shares are whole units, see Cost: written as doubles they come back exactly.
            sum.Cost += new Cost((long)Math.Round(record.CostMoney * 1e12), (long)Math.Round(record.CostJoules * 1e9));
        }
    }

    private static void Show(Output output, (Key Key, Sum Sum)[] rows, Cost total, long decisions, MeteredRun[] runs, string? currency)
    {
        Table table = output.CreateTable("day", "stream", "model", "device", "execution provider", "method", "decisions", $"money {currency}", "per 1,000", "joules", "J per 1,000");
        string[] none = ["", "", "", ""];
        foreach ((Key key, Sum sum) in rows)
        {
            table.AddRow([
                key.Day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), Markup.Escape(key.Stream), Markup.Escape(key.Model), Markup.Escape(key.Device), Markup.Escape(key.Provider), Markup.Escape(key.Method), Numbers.Of(sum.Decisions),
                .. key.IsUnpriced ? none : [Numbers.Of((double)sum.Cost.Money), Numbers.Of((double)sum.Cost.Money / sum.Decisions * 1000), Numbers.Of(sum.Cost.Joules), Numbers.Of(sum.Cost.Joules / sum.Decisions * 1000)]]);
        }

        output.People.Write(table);
        long unpriced = Unpriced(rows);
        output.WriteLine($"In all {Numbers.Of(decisions)} decisions{(unpriced == decisions ? "" : $", {Numbers.Of((double)total.Money)} {currency ?? CostWords.UnknownCurrency}, {Numbers.Of(total.Joules)} J")}.");
        foreach (string method in rows.Where(row => !row.Key.IsUnpriced).Select(row => row.Key.Method).Distinct())
        {
            output.WriteLine($"Method '{method}': {CostWords.Method(method)}.");
        }

        if (unpriced > 0)
        {
            output.WriteLine($"UNPRICED: {Numbers.Of(unpriced)} decisions carry no cost, because there were no prices that could be used when they were made; they are in no sum here.");
        }

        if (runs.Length == 0)
        {
            output.WriteLine("Idle time and waste are not told apart here: no costs.jsonl tells of a run that was priced.");
            return;
        }

        (Cost metered, Cost idle, Cost waste, Cost unallocated, Cost atEnd) = Metered(runs);
        Cost borne = metered - unallocated - atEnd;
        output.WriteLine($"Metered {Numbers.Of((double)metered.Money)} {currency}, {Numbers.Of(metered.Joules)} J; idle {Share(idle, metered)}, waste {Share(waste, metered)}.");
        output.WriteLine($"Of it decisions bear {Share(borne, metered)}, from which their sum differs by {Closure(total, borne):P4}; idle at the end, borne by no decision: {Share(atEnd, metered)}{(unallocated == default ? "" : $"; not yet borne, by runs that go on or were killed: {Share(unallocated, metered)}")}.");
        MeteredDevice[] devices = [.. Devices(runs)];
        if (devices.Length > 0)
        {
            Table byDevice = output.CreateTable("device", "batches", "busy s", $"money {currency}", "idle", "waste", "joules");
            foreach (MeteredDevice device in devices)
            {
                byDevice.AddRow(Markup.Escape(device.Name), Numbers.Of(device.Runs), Numbers.Of(device.BusySeconds), Numbers.Of((double)device.Total.Money), Share(device.Idle, device.Total), Share(device.Waste, device.Total), Numbers.Of(device.Total.Joules));
            }

            output.People.Write(byDevice);
        }

        foreach (string method in runs.Select(run => run.Method).Distinct())
        {
            output.WriteLine($"How: {method}.");
        }
    }

    private static void Write(Utf8JsonWriter json, (Key Key, Sum Sum)[] rows, Cost total, long decisions, MeteredRun[] runs, string? currency)
    {
        json.WriteStartArray("rows");
        foreach ((Key key, Sum sum) in rows)
        {
            json.WriteStartObject();
            json.WriteString("day", key.Day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            json.WriteString("stream", key.Stream);
            json.WriteString("model", key.Model);
            json.WriteString("device", key.Device);
            json.WriteString("executionProvider", key.Provider);
            json.WriteString("method", key.Method);
            json.WriteNumber("decisions", sum.Decisions);
            if (!key.IsUnpriced)
            {
                json.WriteNumber("money", sum.Cost.Money);
                json.WriteNumber("joules", sum.Cost.Joules);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("decisions", decisions);
        json.WriteNumber("unpricedDecisions", Unpriced(rows));
        json.WriteString("currency", currency);
        json.WriteNumber("money", total.Money);
        json.WriteNumber("joules", total.Joules);
        if (runs.Length == 0)
        {
            json.WriteNull("metered");
            return;
        }

        (Cost metered, Cost idle, Cost waste, Cost unallocated, Cost atEnd) = Metered(runs);
        json.WriteStartObject("metered");
        json.WriteString("currency", currency);
        foreach ((string name, Cost cost) in (ReadOnlySpan<(string, Cost)>)[("total", metered), ("idle", idle), ("waste", waste), ("atEnd", atEnd), ("unallocated", unallocated)])
        {
            Write(json, name, cost);
        }

        json.WriteNumber("difference", Closure(total, metered - unallocated - atEnd));
        json.WriteStartArray("devices");
        foreach (MeteredDevice device in Devices(runs))
        {
            json.WriteStartObject();
            json.WriteString("name", device.Name);
            json.WriteNumber("batches", device.Runs);
            json.WriteNumber("busySeconds", device.BusySeconds);
            foreach ((string name, Cost cost) in (ReadOnlySpan<(string, Cost)>)[("total", device.Total), ("active", device.Active), ("idle", device.Idle), ("waste", device.Waste)])
            {
                Write(json, name, cost);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("method", runs[^1].Method);
        json.WriteEndObject();
    }

    private static (Cost Total, Cost Idle, Cost Waste, Cost Unallocated, Cost AtEnd) Metered(MeteredRun[] runs) => runs.Aggregate(
        (Total: default(Cost), Idle: default(Cost), Waste: default(Cost), Unallocated: default(Cost), AtEnd: default(Cost)),
        (sum, run) => (sum.Total + run.Total, sum.Idle + run.Idle, sum.Waste + run.Waste, sum.Unallocated + run.Unallocated, sum.AtEnd + run.AtEnd));

    private static void Write(Utf8JsonWriter json, string name, Cost cost)
    {
        json.WriteStartObject(name);
        json.WriteNumber("money", cost.Money);
        json.WriteNumber("joules", cost.Joules);
        json.WriteEndObject();
    }

    private static long Unpriced((Key Key, Sum Sum)[] rows) => rows.Where(row => row.Key.IsUnpriced).Sum(row => row.Sum.Decisions);

    /// <summary>What each device cost over all runs.</summary>
    private static IEnumerable<MeteredDevice> Devices(MeteredRun[] runs) => runs.SelectMany(run => run.Devices).GroupBy(device => device.Name).Select(group => group.Aggregate((sum, device) => new MeteredDevice(
        sum.Name, sum.Runs + device.Runs, sum.BusySeconds + device.BusySeconds, sum.Total + device.Total, sum.Active + device.Active, sum.Idle + device.Idle, sum.Waste + device.Waste)));

    /// <summary>How far the decisions' sum is from what the meters show for them, as a share.</summary>
    private static double Closure(Cost decisions, Cost borne) => borne.PicoUnits == 0 ? 0 : Math.Abs(1 - (double)(decisions.Money / borne.Money));

    private static string Share(Cost part, Cost whole) => whole.PicoUnits == 0 ? "0 %" : ((double)(part.Money / whole.Money)).ToString("P1", CultureInfo.InvariantCulture);

    /// <summary>A few texts come again in every record.</summary>
    private sealed class Texts
    {
        private readonly Dictionary<int, (byte[] Bytes, string Text)> _texts = [];
        private readonly Dictionary<Sha256Digest, string> _models = [];

        public string Of(ReadOnlySpan<byte> utf8)
        {
            var hash = new HashCode();
            hash.AddBytes(utf8);
            int key = hash.ToHashCode();
            if (_texts.TryGetValue(key, out (byte[] Bytes, string Text) known) && utf8.SequenceEqual(known.Bytes))
            {
                return known.Text;
            }

            string text = Encoding.UTF8.GetString(utf8);
            _texts[key] = (utf8.ToArray(), text);
            return text;
        }

        public string Model(ReadOnlySpan<byte> digest)
        {
            if (digest.Length != Sha256Digest.Size)
            {
                return "";
            }

            var sha = Sha256Digest.From(digest);
            if (!_models.TryGetValue(sha, out string? name))
            {
                name = ModelFiles.TryFind(sha, out ModelBundle? bundle) ? $"{bundle.Manifest.Name}@{bundle.Manifest.Version}" : sha.ToString()[..12];
                _models.Add(sha, name);
            }

            return name;
        }
    }
}
