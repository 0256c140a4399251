using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;
using Spectre.Console;

namespace Risk.Cli.Accelerators;

/// <summary>
/// <c>risk accelerators verify</c>: every device × model × batch size against the processor. Exit 1 when one of them does not
/// conform; a device that is asked for by name and is not there does not conform either.
/// </summary>
internal static class VerifyCommand
{
    private const int SampleRows = 512, Runs = 3;

    private static readonly Argument<string[]> s_names = DeviceArgument.Many();
    private static readonly Option<string?> s_file = AcceleratorFile.Option();
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<int> s_transactions = new("--transactions") { Description = "So many recorded transactions are compared.", HelpName = "N", DefaultValueFactory = _ => 100_000 };
    private static readonly Option<int> s_batch = new("--batch") { Description = "The largest batch.", HelpName = "N", DefaultValueFactory = _ => 512 };
    private static readonly Option<string?> s_variant = new("--variant") { Description = "The variant of the model for accelerators, instead of the one that suits: original, tensor, gemm, tree-traversal, perfect-tree-traversal.", HelpName = "NAME" };
    private static readonly Option<string> s_out = new("--out") { Description = "Where the report goes, as HTML and JSON.", HelpName = "DIR", DefaultValueFactory = _ => ".risk/accelerators" };

    public static Command Create()
    {
        var command = new Command("verify", "Compare every device with the processor on recorded transactions: scores, outcomes, batches, runs, loss.") { s_names, s_file, s_stream, s_transactions, s_batch, s_variant, s_out };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        int transactions = context.Get(s_transactions), batchSizeMax = context.Get(s_batch);
        if (transactions < 1 || batchSizeMax is < 1 or > 8192) { throw CommandFailure.BadInput("USAGE", "--transactions must be 1 or more, --batch 1 to 8192"); }
        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        ModelBundle bundle = ModelFiles.Load(files.Definition);
        // Devices first: one of them may bring its own ONNX Runtime, which then is the processor's as well.
        ChosenDevices chosen = ChosenDevices.Open(context.Get(s_names), AcceleratorFile.Read(context.Get(s_file)));
        RecordedRows rows = output.Run("Reading", "transactions", transactions, progress => RecordedRows.Read(files, bundle, transactions, done => progress.Done = done, context.Cancellation));
        List<VerifiedDevice> found = output.Run("Verifying", "devices", chosen.Count, progress =>
        {
            List<VerifiedDevice> each = [];
            foreach (ChosenDevice device in chosen.Devices)
            {
                progress.Note = device.Name;
                each.Add(Verify(device, bundle, rows, batchSizeMax, context.Get(s_variant), context.Cancellation));
                progress.Done = each.Count;
            }
            return each;
        });
        string folder = Path.GetFullPath(context.Get(s_out)!);
        Directory.CreateDirectory(folder);
        DateTimeOffset at = TimeProvider.System.GetUtcNow();
        string machine = MachineDescription.Text();
        File.WriteAllText(Path.Combine(folder, "conformance.html"), VerificationPage.Render(found, files.Definition.Schema.Name, rows.Count, machine, AcceleratorDevice.RuntimeVersion, at));
        void Write(Utf8JsonWriter json)
        {
            json.WriteString("date", at.ToString("O", CultureInfo.InvariantCulture));
            json.WriteString("machine", machine);
            json.WriteString("runtime", AcceleratorDevice.RuntimeVersion);
            json.WriteString("stream", files.Definition.Schema.Name);
            json.WriteNumber("transactions", rows.Count);
            json.WriteNumber("toleranceMax", DeviceModel.ToleranceMax);
            json.WriteBoolean("conforms", found.TrueForAll(d => d.Conforms));
            json.WriteString("verdict", VerifiedDevice.Verdict(found));
            json.WriteStartArray("devices");
            found.ForEach(device => device.Write(json));
            json.WriteEndArray();
        }
        using (FileStream file = File.Create(Path.Combine(folder, "conformance.json")))
        using (var json = new Utf8JsonWriter(file, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            Write(json);
            json.WriteEndObject();
        }
        if (output.Json) { output.WriteJson(Write); } else { Show(output, found, folder); }
        return found.TrueForAll(d => d.Conforms) ? ExitCode.Done : ExitCode.No;
    }

    private static VerifiedDevice Verify(ChosenDevice chosen, ModelBundle bundle, RecordedRows rows, int batchSizeMax, string? variant, CancellationToken cancellation)
    {
        long startedAt = Stopwatch.GetTimestamp();
        string reference = $"{bundle.Manifest.Name}@{bundle.Manifest.Version}";
        if (chosen.Refusal is { } absent) { return new VerifiedDevice(chosen.Name, chosen.ExecutionProvider, "", reference, "", "", "", "", absent); }
        if (chosen.Device is not { } device) { return VerifyKernel(bundle, reference, rows, batchSizeMax, cancellation); }

        DeviceModel? model = DeviceModel.For(bundle, device, batchSizeMax, out ModelRefusal? unfit, device.IsCpu ? null : variant);
        DeviceRefusal? refusal = model is null ? new DeviceRefusal(device.Name, unfit!.Code, unfit.Reason) : null;
        DeviceSession? session = null;
        DeviceMemory? memory = model is null ? null : DeviceVerification.Memory(device.Configuration.Device, () =>
            DeviceSession.TryOpen(device, model, batchSizeMax, TimeProvider.System, new DeviceRetry(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2)), _ => { }, out session, out refusal));
        var head = new VerifiedDevice(device.Name, device.ExecutionProvider, device.Description, reference, model?.Variant ?? "", model?.Digest ?? "", device.Driver, device.ProviderVersion, refusal) { Tolerance = model?.Tolerance ?? DeviceModel.ToleranceMax };
        if (session is null) { return head; }
        using (session)
        {
            VerifiedDevice found = Compare(head, session, rows, batchSizeMax, cancellation);
            return found with { Memory = memory, Loss = DeviceVerification.Loss(session, rows.Inputs, Math.Min(rows.Count, Math.Min(64, batchSizeMax)), cancellation), Seconds = Stopwatch.GetElapsedTime(startedAt).TotalSeconds };
        }
    }

    private static VerifiedDevice VerifyKernel(ModelBundle bundle, string reference, RecordedRows rows, int batchSizeMax, CancellationToken cancellation)
    {
        long startedAt = Stopwatch.GetTimestamp();
        if (!OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out ModelRefusal? refusal))
        {
            return new VerifiedDevice(ReadyProfiles.ForestKernel, "", "", reference, "", "", "", "", new DeviceRefusal(ReadyProfiles.ForestKernel, refusal.Code, refusal.Reason));
        }
        using var kernel = new ForestKernel(forest, batchSizeMax);
        var head = new VerifiedDevice(ReadyProfiles.ForestKernel, kernel.ExecutionProvider, "the processor, by the engine's own forest kernel", reference, DeviceModel.Original, bundle.Manifest.Sha256, "", "", null);
        return Compare(head, kernel, rows, batchSizeMax, cancellation) with { Seconds = Stopwatch.GetElapsedTime(startedAt).TotalSeconds };
    }

    private static VerifiedDevice Compare(VerifiedDevice head, IScorer scorer, RecordedRows rows, int batchSizeMax, CancellationToken cancellation)
    {
        int sample = Math.Min(SampleRows, rows.Count);
        float[] scores = new float[rows.Count];
        if (!DeviceVerification.Run(scorer, rows.Inputs, scores, batchSizeMax, cancellation)) { return head with { Parity = ScoreParity.Failed(rows.Count) }; }
        List<OutcomeFlip> flips = [];
        int flipCount = 0;
        for (int row = 0; row < rows.Count; row++)
        {
            Outcome(row, scores[row]);
        }
        return head with
        {
            Parity = ScoreParity.Of(scores, rows.Scores),
            FlipCount = flipCount,
            Flips = flips,
            Batches = DeviceVerification.Batches(scorer, rows.Inputs[..(sample * rows.Features)], rows.Scores[..sample], Runs, cancellation),
        };

        void Outcome(int row, float score)
        {
            Core.Decisions.Outcome outcome = rows.Decide(row, score);
            if (outcome == rows.Outcomes[row]) { return; }
            flipCount++;
            if (flips.Count < VerifiedDevice.FlipsShown) { flips.Add(new OutcomeFlip(rows.Ids[row], rows.Scores[row], score, rows.Outcomes[row], outcome)); }
        }
    }

    private static void Show(Output output, List<VerifiedDevice> found, string folder)
    {
        Table table = output.CreateTable("device", "variant", "largest difference", "99.9 %", "flips", "any batch", "every run", "after a loss", "");
        foreach (VerifiedDevice device in found)
        {
            if (device.Refusal is not null)
            {
                table.AddRow(Markup.Escape(device.Device), "", "", "", "", "", "", "", $"[red]{Markup.Escape(device.Refusal.Code)}[/]");
                continue;
            }
            double invariance = device.Batches.Count == 0 ? 0 : device.Batches.Max(b => b.InvarianceMax);
            table.AddRow(
                Markup.Escape(device.Device), Markup.Escape(device.Variant), device.Parity.Max.ToString("0.0e+0", CultureInfo.InvariantCulture), device.Parity.P999.ToString("0.0e+0", CultureInfo.InvariantCulture),
                device.FlipCount.ToString(CultureInfo.InvariantCulture), invariance == 0 ? "to the bit" : invariance.ToString("0.0e+0", CultureInfo.InvariantCulture), device.Batches.All(b => b.IsDeterministic) ? "same" : "differs",
                device.Loss is { } loss ? loss.Conforms ? string.Create(CultureInfo.InvariantCulture, $"back in {loss.RecoverySeconds:0.0} s") : "fails" : "-", device.Conforms ? "[green]conforms[/]" : "[red]does not conform[/]");
        }
        output.People.Write(table);
        foreach (VerifiedDevice device in found) { foreach (string fault in device.Faults()) { output.WriteLine($"{device.Device}: {fault}"); } }
        output.WriteLine(VerifiedDevice.Verdict(found));
        output.WriteLine($"The report: {Path.Combine(folder, "conformance.html")} (and conformance.json)");
    }
}
