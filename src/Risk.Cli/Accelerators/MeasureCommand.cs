using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>
/// <c>risk accelerators measure</c>: latency, throughput and energy by batch size, written as device profiles. A profile that was
/// recorded elsewhere is shown with <c>--replay</c>, and is labelled so.
/// </summary>
internal static class MeasureCommand
{
    private const int RowsMax = 8192;

    private static readonly Argument<string[]> s_names = DeviceArgument.Many();
    private static readonly Option<string?> s_file = AcceleratorFile.Option();
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<int> s_batch = new("--batch") { Description = "The largest batch; every power of two up to it is measured.", HelpName = "N", DefaultValueFactory = _ => 4096 };
    private static readonly Option<double> s_seconds = new("--seconds") { Description = "For each batch size.", HelpName = "S", DefaultValueFactory = _ => 1 };
    private static readonly Option<string?> s_variant = new("--variant") { Description = "The variant of the model for accelerators, instead of the one that suits.", HelpName = "NAME" };
    private static readonly Option<string?> s_replay = new("--replay") { Description = "Show a recorded profile instead: a file, or a name below ops/profiles.", HelpName = "PROFILE" };
    private static readonly Option<string?> s_as = new("--as") { Description = "The profile's name, for prices and reports; when left out, the card's own where a price or a profile is kept under it (nvidia-h200), else the accelerator's.", HelpName = "NAME" };
    private static readonly Option<double[]?> s_watts = new("--watts") { Description = "Where no counter of joules can be read: the least (idle) and the most watts that the device draws.", HelpName = "LOW HIGH", Arity = new ArgumentArity(2, 2), AllowMultipleArgumentsPerToken = true };
    private static readonly Option<string> s_out = new("--out") { Description = "Where the profiles are written.", HelpName = "DIR", DefaultValueFactory = _ => ".risk/accelerators/profiles" };

    public static Command Create()
    {
        var command = new Command("measure", "Time every device by batch size, count its joules, and write its profile.") { s_names, s_file, s_stream, s_batch, s_seconds, s_variant, s_replay, s_as, s_watts, s_out };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        if (context.Get(s_replay) is { } recorded) { return RecordedProfile.Replay(output, recorded, AcceleratorFile.Read(context.Get(s_file))); }
        int batchSizeMax = context.Get(s_batch);
        double seconds = context.Get(s_seconds);
        if (batchSizeMax is < 1 or > RowsMax || !(seconds is > 0 and <= 60)) { throw CommandFailure.BadInput("USAGE", $"--batch must be 1 to {RowsMax}, --seconds above 0 and at most 60"); }
        var naming = Naming.Read(context);
        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        ModelBundle bundle = ModelFiles.Load(files.Definition);
        ChosenDevices chosen = ChosenDevices.Open(context.Get(s_names), AcceleratorFile.Read(context.Get(s_file)));
        foreach (ChosenDevice device in chosen.Devices)
        {
            if (device.Refusal is { } refusal) { throw CommandFailure.BadInput(refusal.Code, $"{refusal.Device}: {refusal.Reason}"); }
        }
        naming.RequireOneDevice(chosen);
        RecordedRows rows = output.Run("Reading", "transactions", RowsMax, progress => RecordedRows.Read(files, bundle, RowsMax, done => progress.Done = done, context.Cancellation));
        IReadOnlyList<int> sizes = [.. DeviceMeasurement.BatchSizes(Math.Min(batchSizeMax, rows.Count))];
        List<DeviceProfile> profiles = output.Run("Measuring", "batch sizes", chosen.Count * sizes.Count, progress =>
            chosen.Devices.Select(device => Measure(device, bundle, rows, sizes, TimeSpan.FromSeconds(seconds), context.Get(s_variant), naming, progress, context.Cancellation)).ToList());
        string folder = Path.GetFullPath(context.Get(s_out)!);
        Directory.CreateDirectory(folder);
        foreach (DeviceProfile profile in profiles)
        {
            JoinedProfile.Write(folder, profile, output.Note);
            if (naming.IsUnpriced(profile)) { output.Note($"No price is kept for '{profile.Name}' ({profile.Device}): `risk cost compare` will leave it out. --as NAME gives it one of {string.Join(", ", naming.Book.Devices.Select(d => d.Name))}; or add its price."); }
            if (profile.Power is null) { output.Note(profile.Note!); }
        }
        if (output.Json) { output.WriteJson(json => WriteAll(json, profiles, folder, null)); }
        else
        {
            foreach (DeviceProfile profile in profiles) { CurveTable.Show(output, profile, ""); }
            output.WriteLine($"Written to {folder}.");
        }
        return ExitCode.Done;
    }

    private static DeviceProfile Measure(ChosenDevice chosen, ModelBundle bundle, RecordedRows rows, IReadOnlyList<int> sizes, TimeSpan time, string? variant, Naming naming, ProgressReport progress, CancellationToken cancellation)
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
        var day = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        AcceleratorDevice? device = chosen.Device;
        string name = naming.Of(chosen);
        MeasuredPower power = counter is not null && idle is { } low && busy is { } high ? MeasuredPower.OfCounter(counter, low, high, day)
            : naming.Watts is { } watts ? MeasuredPower.OfWatts(watts, day)
            : MeasuredPower.Known(name, device is null || device.Profile.Kind == DeviceKind.Cpu, naming.Book, naming.Machine);
        return new DeviceProfile(
            name, device?.Profile.Kind ?? DeviceKind.Cpu, scorers.Model.ExecutionProvider, device?.Description ?? "the processor, by the engine's own forest kernel", FigureBasis.Measured,
            MachineDescription.Text(), device?.Driver ?? "", AcceleratorDevice.RuntimeVersion, device?.ProviderVersion ?? "", day,
            device is { IsCpu: false }, power.Power,
            [new ModelCurve(bundle.Manifest.Name, bundle.Manifest.Version, scorers.Variant, Sha256Digest.From(Convert.FromHexString(scorers.Digest)), points)],
            Note: power.Note);
    }

    /// <param name="label">What a recorded profile is; null for what was measured now.</param>
    internal static void WriteAll(Utf8JsonWriter json, IReadOnlyList<DeviceProfile> profiles, string folder, string? label)
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
        CurveTable.WriteEnergy(json, profiles);
    }

    /// <summary>How profiles are called, and what watts are known by that name.</summary>
    private sealed record Naming(string? As, double[]? Watts, PriceBook Book, MachinePrice Machine)
    {
        private readonly IReadOnlyList<string> _known = ProfileName.Known(Book);

        public static Naming Read(VerbContext context)
        {
            string? name = context.Get(s_as);
            double[]? watts = context.IsGiven(s_watts) ? context.Get(s_watts) : null;
            if (name is not null && !ProfileName.IsValid(name)) { throw CommandFailure.BadInput("USAGE", $"--as '{name}' is no name for a profile: letters, digits, dots, hyphens and underlines, 64 at most"); }
            if (watts is not null && !(watts is [>= 0, <= 100_000] && watts[0] <= watts[1] && watts[1] > 0)) { throw CommandFailure.BadInput("USAGE", "--watts needs the least and the most watts of the device, 0 to 100,000, in this order"); }
            (PriceBook book, MachinePrice machine) = PriceBookFile.LoadDefault(context.Output.Note);
            return new Naming(name, watts, book, machine);
        }

        /// <exception cref="CommandFailure">One name, or one pair of watts, for several devices; ONNX Runtime and the forest kernel on the processor are one.</exception>
        public void RequireOneDevice(ChosenDevices chosen)
        {
            if ((As is not null || Watts is not null) && chosen.Count > 1 && chosen.Devices.Any(d => d.Device is { IsCpu: false })) { throw CommandFailure.BadInput("USAGE", "--as and --watts are of one device; name that device alone"); }
        }

        public string Of(ChosenDevice chosen) => As ?? ProfileName.Of(chosen.Device, _known) ?? chosen.Name;

        public bool IsUnpriced(DeviceProfile profile) => profile.Kind != DeviceKind.Cpu && !Book.Devices.Any(d => d.Name == profile.Name);
    }

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
