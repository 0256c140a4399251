using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Inference.Devices;
using Spectre.Console;

namespace Risk.Cli.Accelerators;

/// <summary>
/// <c>risk accelerators measure</c>: latency, throughput and energy by batch size, written as device profiles. A profile that was
/// recorded elsewhere is shown with <c>--replay</c>, and is labelled so.
/// </summary>
internal static class MeasureCommand
{
    private const int RowsMax = 8192;

    private static readonly Argument<string[]> s_names = new("NAME") { Description = "Accelerators; when left out, the processor by ONNX Runtime, the forest kernel and everything that is present.", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<string?> s_file = AcceleratorFile.Option();
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<int> s_batch = new("--batch") { Description = "The largest batch; every power of two up to it is measured.", HelpName = "N", DefaultValueFactory = _ => 4096 };
    private static readonly Option<double> s_seconds = new("--seconds") { Description = "For each batch size.", HelpName = "S", DefaultValueFactory = _ => 1 };
    private static readonly Option<string?> s_variant = new("--variant") { Description = "The variant of the model for accelerators, instead of the one that suits.", HelpName = "NAME" };
    private static readonly Option<string?> s_replay = new("--replay") { Description = "Show a recorded profile instead: a file, or a name below ops/profiles.", HelpName = "PROFILE" };
    private static readonly Option<string> s_out = new("--out") { Description = "Where the profiles are written.", HelpName = "DIR", DefaultValueFactory = _ => ".risk/accelerators/profiles" };

    public static Command Create()
    {
        var command = new Command("measure", "Time every device by batch size, count its joules, and write its profile.") { s_names, s_file, s_stream, s_batch, s_seconds, s_variant, s_replay, s_out };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        if (context.Get(s_replay) is { } recorded) { return Replay(context, recorded); }
        int batchSizeMax = context.Get(s_batch);
        double seconds = context.Get(s_seconds);
        if (batchSizeMax is < 1 or > RowsMax || !(seconds is > 0 and <= 60)) { throw CommandFailure.BadInput("USAGE", $"--batch must be 1 to {RowsMax}, --seconds above 0 and at most 60"); }
        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        ModelBundle bundle = ModelFiles.Load(files.Definition);
        ChosenDevices chosen = ChosenDevices.Open(context.Get(s_names), AcceleratorFile.Read(context.Get(s_file)));
        foreach (ChosenDevice device in chosen.Devices)
        {
            if (device.Refusal is { } refusal) { throw CommandFailure.BadInput(refusal.Code, $"{refusal.Device}: {refusal.Reason}"); }
        }
        RecordedRows rows = output.Run("Reading", "transactions", RowsMax, progress => RecordedRows.Read(files, bundle, RowsMax, done => progress.Done = done, context.Cancellation));
        IReadOnlyList<int> sizes = [.. DeviceMeasurement.BatchSizes(Math.Min(batchSizeMax, rows.Count))];
        List<DeviceProfile> profiles = output.Run("Measuring", "batch sizes", chosen.Count * sizes.Count, progress =>
            chosen.Devices.Select(device => Measure(device, bundle, rows, sizes, TimeSpan.FromSeconds(seconds), context.Get(s_variant), progress, context.Cancellation)).ToList());
        string folder = Path.GetFullPath(context.Get(s_out)!);
        Directory.CreateDirectory(folder);
        foreach (DeviceProfile profile in profiles) { File.WriteAllBytes(Path.Combine(folder, $"{profile.Name.Replace(':', '-')}.json"), profile.Write()); }
        if (output.Json) { output.WriteJson(json => WriteAll(json, profiles, folder, null)); }
        else
        {
            foreach (DeviceProfile profile in profiles) { Show(output, profile, isRecorded: false); }
            output.WriteLine($"Written to {folder}.");
        }
        return ExitCode.Done;
    }

    private static DeviceProfile Measure(ChosenDevice chosen, ModelBundle bundle, RecordedRows rows, IReadOnlyList<int> sizes, TimeSpan time, string? variant, ProgressReport progress, CancellationToken cancellation)
    {
        using Scorers scorers = Scorers.Open(chosen, bundle, rows.Features, sizes[^1], variant);
        EnergyCounter? counter = EnergyCounter.For(chosen.Device);
        double? idle = DeviceMeasurement.IdleWatts(counter, TimeSpan.FromSeconds(2), cancellation);
        List<CostPoint> points = [];
        foreach (int size in sizes)
        {
            progress.Note = string.Create(CultureInfo.InvariantCulture, $"{chosen.Name}, batches of {size}");
            points.Add(DeviceMeasurement.Measure(scorers.Model, scorers.Empty, counter, rows.Inputs, size, time, cancellation)
                ?? throw CommandFailure.WorldFailed(ModelCodes.DeviceLost, $"{chosen.Name} gave no scores at batches of {size}"));
            progress.Done++;
        }
        double? busy = DeviceMeasurement.BusyWatts(scorers.Model, counter, rows.Inputs, sizes[^1], TimeSpan.FromSeconds(Math.Max(2, time.TotalSeconds)), cancellation);
        DateTimeOffset at = TimeProvider.System.GetUtcNow();
        AcceleratorDevice? device = chosen.Device;
        return new DeviceProfile(
            chosen.Name, device?.Profile.Kind ?? DeviceKind.Cpu, scorers.Model.ExecutionProvider, device?.Description ?? "the processor, by the engine's own forest kernel", FigureBasis.Measured,
            MachineDescription.Text(), device?.Driver ?? "", AcceleratorDevice.RuntimeVersion, device?.ProviderVersion ?? "", DateOnly.FromDateTime(at.UtcDateTime),
            device is { IsCpu: false }, Power(counter, idle, busy, device, DateOnly.FromDateTime(at.UtcDateTime)),
            [new ModelCurve(bundle.Manifest.Name, bundle.Manifest.Version, scorers.Variant, Sha256Digest.From(Convert.FromHexString(scorers.Digest)), points)],
            Note: counter is null ? "No counter of joules could be read on this machine; power is the stated model, with low and high." : $"Joules: {counter.What}.");
    }

    /// <summary>By the counter; else what the price book assumes of a machine like this one.</summary>
    private static DevicePower Power(EnergyCounter? counter, double? idle, double? busy, AcceleratorDevice? device, DateOnly day)
    {
        if (counter is not null && idle is { } low && busy is { } high)
        {
            PriceFigure Figure(double watts, string how) => new(Math.Round(watts, 1), Math.Round(watts, 1), Math.Round(watts, 1), "W", $"{counter.What}, {how}", day, FigureBasis.Measured);
            return new DevicePower(Figure(low, "nothing to do"), Figure(Math.Max(low, high), "largest batches one after the other"), counter.Method);
        }
        if (device is { IsCpu: false } && device.Profile.Kind != DeviceKind.Cpu)
        {
            throw CommandFailure.WorldFailed("POWER_UNKNOWN", $"{device.Name} has no counter of joules that can be read here, and nothing is assumed of a card: add its watts to a profile by hand, with their source");
        }
        (PriceBook book, MachinePrice machine) = PriceBookFile.LoadDefault();
        PriceFigure Assumed(PriceFigure figure) => figure with { Source = $"price book {book.Name} {book.Version}, {machine.Name}: {figure.Source}" };
        return new DevicePower(Assumed(machine.Idle), Assumed(machine.Full), EnergyMethod.Model);
    }

    private static ExitCode Replay(VerbContext context, string nameOrFile)
    {
        string path = File.Exists(nameOrFile) ? nameOrFile : Path.Combine(RiskHome.Find(), "ops", "profiles", $"{nameOrFile}.json");
        if (!File.Exists(path)) { throw CommandFailure.BadInput("PROFILE_MISSING", $"there is no profile {path}"); }
        List<DefinitionError> errors = [];
        if (!DeviceProfile.TryRead(File.ReadAllBytes(path), Path.GetFileName(path), errors, out DeviceProfile? profile))
        {
            throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);
        }
        // A device of that name on this machine must be the one that was measured; without one, it is a recording and is called so.
        AcceleratorConfiguration named = AcceleratorFile.Read(context.Get(s_file)).FirstOrDefault(a => a.Name == profile.Name) ?? AcceleratorConfiguration.Named(profile.Name);
        string? here = null;
        if (AcceleratorDevice.TryOpen(named, out AcceleratorDevice? device, out _))
        {
            if (profile.Mismatch(device.Driver, AcceleratorDevice.RuntimeVersion, device.ProviderVersion) is { } stale) { throw CommandFailure.BadInput(stale.Code, $"{stale.File} {stale.Path}: {stale.Sentence}"); }
            here = device.Description;
        }
        if (context.Output.Json) { context.Output.WriteJson(json => WriteAll(json, [profile], Path.GetDirectoryName(Path.GetFullPath(path))!, Label(profile, here))); }
        else
        {
            context.Output.WriteLine(Label(profile, here));
            Show(context.Output, profile, isRecorded: true);
        }
        return ExitCode.Done;
    }

    private static string Label(DeviceProfile profile, string? here) => profile.Basis == FigureBasis.Measured
        ? $"Recorded on {profile.Date:yyyy-MM-dd} on {profile.Machine}, not measured now{(here is null ? "; the device is not on this machine" : "")}."
        : $"From a data sheet ({profile.Basis.ToString().ToLowerInvariant()}, {profile.Date:yyyy-MM-dd}): nothing was measured.";

    private static void WriteAll(Utf8JsonWriter json, IReadOnlyList<DeviceProfile> profiles, string folder, string? label)
    {
        json.WriteString("folder", folder);
        json.WriteBoolean("recorded", label is not null);
        if (label is not null) { json.WriteString("label", label); }
        json.WriteStartArray("profiles");
        foreach (DeviceProfile profile in profiles)
        {
            using JsonDocument document = JsonDocument.Parse(profile.Write());
            document.RootElement.WriteTo(json);
        }
        json.WriteEndArray();
    }

    private static void Show(Output output, DeviceProfile profile, bool isRecorded)
    {
        foreach (ModelCurve curve in profile.Models)
        {
            output.WriteLine($"{profile.Name}{(isRecorded ? " (recorded)" : "")}: {curve.Model}@{curve.Version} as {curve.Variant}, {profile.ExecutionProvider}");
            Table table = output.CreateTable("batch", "median", "p99", "spread", "host", "rows/s", "µJ a row");
            foreach (CostPoint point in curve.Points)
            {
                table.AddRow(
                    N(point.Batch, "0"), $"{N(point.MedianMicros, "N1")} µs", $"{N(point.P99Micros, "N1")} µs", $"{N(point.SpreadMicros, "N1")} µs", $"{N(point.HostMicros, "N1")} µs",
                    N(point.Batch * 1e6 / point.MedianMicros, "N0"), point.JoulesPerBatch is { } joules ? N(joules * 1e6 / point.Batch, "N1") : "modelled");
            }
            output.People.Write(table);
        }
        output.WriteLine($"{profile.Note}");
    }

    private static string N(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>The model on the device, and the empty model there.</summary>
    private sealed record Scorers(IScorer Model, IScorer? Empty, string Variant, string Digest) : IDisposable
    {
        public static Scorers Open(ChosenDevice chosen, ModelBundle bundle, int features, int batchSizeMax, string? variant)
        {
            bool isForest = OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out ModelRefusal? notTrees);
            if (chosen.Device is not { } device)
            {
                return isForest
                    ? new Scorers(new ForestKernel(forest!, batchSizeMax), null, ReadyProfiles.ForestKernel, bundle.Manifest.Sha256)
                    : throw CommandFailure.BadInput(notTrees!.Code, notTrees.Reason);
            }
            DeviceModel model = DeviceModel.For(bundle, device, batchSizeMax, out ModelRefusal? unfit, device.IsCpu ? null : variant) ?? throw CommandFailure.BadInput(unfit!.Code, unfit.Reason);
            if (!DeviceSession.TryOpen(device, model, batchSizeMax, out OnnxSession? session, out DeviceRefusal? refusal)) { throw CommandFailure.BadInput(refusal.Code, $"{refusal.Device}: {refusal.Reason}"); }
            OnnxSession? empty = null;
            if (!device.IsCpu && !OnnxSession.TryOpen(ProbeModel.Empty(features), features, ProbeModel.OutputName, batchSizeMax, device, out empty, out ModelRefusal? fault))
            {
                session.Dispose();
                throw CommandFailure.WorldFailed(fault.Code, fault.Reason);
            }
            empty?.WarmUp();
            return new Scorers(session, empty, model.Variant == DeviceModel.Original && isForest ? "tree-ensemble" : model.Variant, model.Digest);
        }

        public void Dispose()
        {
            Model.Dispose();
            Empty?.Dispose();
        }
    }
}
