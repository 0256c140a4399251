using System.CommandLine;
using System.Globalization;
using Risk.Cli.CommandLine;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;
using Spectre.Console;

namespace Risk.Cli.Accelerators;

/// <summary><c>risk accelerators overhead</c>: a call of ours beside the bare call of ONNX Runtime on the same device.</summary>
internal static class OverheadCommand
{
    private static readonly Argument<string> s_name = DeviceArgument.One();
    private static readonly Option<string?> s_file = AcceleratorFile.Option();
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<string?> s_variant = new("--variant") { Description = "The variant of the model, instead of the one that suits.", HelpName = "NAME" };

    private static readonly Option<int> s_batch = new("--batch") { Description = "The largest batch, 1 to 8192; of 1, 8, 64, 512 and 4096, those up to it are compared.", HelpName = "N", DefaultValueFactory = _ => 4096 };

    public static Command Create()
    {
        var command = new Command("overhead", "Compare a call of ours with the bare call of ONNX Runtime on the same device, in turns.") { s_name, s_file, s_stream, s_variant, s_batch };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        int batchSizeMax = context.Get(s_batch);
        if (batchSizeMax is < 1 or > 8192) { throw CommandFailure.BadInput("USAGE", "--batch must be 1 to 8192"); }
        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        ModelBundle bundle = ModelFiles.Load(files.Definition);
        ChosenDevice chosen = ChosenDevices.Open([context.Get(s_name)], AcceleratorFile.Read(context.Get(s_file))).Devices[0];
        if (chosen.Refusal is { } absent) { throw CommandFailure.BadInput(absent.Code, $"{absent.Device}: {absent.Reason}"); }
        if (chosen.Device is not { } device) { throw CommandFailure.BadInput("USAGE", "the forest kernel runs without ONNX Runtime; there is no bare call beside it"); }
        DeviceModel model = DeviceModel.For(bundle, device, batchSizeMax, out ModelRefusal? unfit, device.IsCpu ? null : context.Get(s_variant)) ?? throw CommandFailure.BadInput(unfit!.Code, unfit.Reason);
        if (!DeviceSession.TryOpen(device, model, batchSizeMax, out OnnxSession? session, out DeviceRefusal? refusal)) { throw CommandFailure.BadInput(refusal.Code, $"{refusal.Device}: {refusal.Reason}"); }
        using (session)
        {
            RecordedRows rows = output.Run("Reading", "transactions", batchSizeMax, progress => RecordedRows.Read(files, bundle, batchSizeMax, done => progress.Done = done, context.Cancellation));
            List<BareComparison> found = output.Run("Comparing", "batch sizes", BareComparison.Batches.Length, progress => BareComparison.Run(session, model, device, rows.Inputs, () => progress.Done++, context.Cancellation));
            if (output.Json)
            {
                output.WriteJson(json =>
                {
                    json.WriteString("device", device.Name);
                    json.WriteString("variant", model.Variant);
                    json.WriteNumber("runMillisMax", device.RunMillisMax);
                    json.WriteNumber("ratioMax", BareComparison.RatioMax);
                    json.WriteStartArray("batches");
                    foreach (BareComparison each in found)
                    {
                        json.WriteStartObject();
                        json.WriteNumber("batch", each.Batch);
                        json.WriteNumber("oursMicros", Math.Round(each.OursMicros, 3));
                        json.WriteNumber("bareMicros", Math.Round(each.BareMicros, 3));
                        json.WriteNumber("ratio", Math.Round(each.Ratio, 4));
                        json.WriteBoolean("reached", each.Ratio <= BareComparison.RatioMax);
                        json.WriteEndObject();
                    }
                    json.WriteEndArray();
                });
                return ExitCode.Done;
            }
            Table table = output.CreateTable("batch", "ours", "bare ONNX Runtime", "ours to bare");
            foreach (BareComparison each in found)
            {
                table.AddRow(each.Batch.ToString(CultureInfo.InvariantCulture), $"{each.OursMicros.ToString("N1", CultureInfo.InvariantCulture)} µs", $"{each.BareMicros.ToString("N1", CultureInfo.InvariantCulture)} µs", each.Ratio.ToString("0.000", CultureInfo.InvariantCulture));
            }
            output.People.Write(table);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"At most {BareComparison.RatioMax:0.00} is wanted of an accelerator. {(device.RunMillisMax > 0 ? $"Runs are bounded to {device.RunMillisMax} ms, on a thread of their own; waking it is part of ours." : "Runs are not bounded: they stay on the thread that scores.")}"));
            return ExitCode.Done;
        }
    }
}
