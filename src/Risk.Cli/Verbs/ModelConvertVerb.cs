using System.CommandLine;
using System.Globalization;
using Risk.Cli.CommandLine;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;

namespace Risk.Cli.Verbs;

/// <summary><c>risk model convert</c>: adds a variant of a model to its bundle. Exit 1 when it does not compute what the model computes.</summary>
internal static class ModelConvertVerb
{
    private static readonly Argument<string> s_reference = new("NAME@VERSION") { Description = "The model." };
    private static readonly Option<string> s_to = new("--to") { Description = "The form: tensor, trees as plain tensor operators for accelerators.", HelpName = "FORM", DefaultValueFactory = _ => "tensor" };
    private static readonly Option<string?> s_strategy = new("--strategy") { Description = "gemm, tree-traversal or perfect-tree-traversal; by depth and batch when left out.", HelpName = "NAME" };
    private static readonly Option<string> s_target = new("--target") { Description = "What the strategy is chosen for: accelerator or cpu.", HelpName = "KIND", DefaultValueFactory = _ => "accelerator" };
    private static readonly Option<int> s_batch = new("--batch") { Description = "Rows of the largest batch, 1 to 65536.", HelpName = "N", DefaultValueFactory = _ => 4096 };
    private static readonly Option<string?> s_precision = new("--precision") { Description = "Instead, a model version of its own with the matrix products in fewer bits: fp16 or int8, compared on recorded transactions.", HelpName = "FORM" };
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<int> s_skip = new("--skip") { Description = "So many recorded transactions go before those that are compared.", HelpName = "N", DefaultValueFactory = _ => 0 };
    private static readonly Option<int> s_transactions = new("--transactions") { Description = "So many recorded transactions are compared; of int8, the first tenth is for its scales.", HelpName = "N", DefaultValueFactory = _ => 100_000 };
    private static readonly Option<bool> s_check = new("--check") { Description = "Write nothing; exit 1 unless the bundle has exactly this variant." };

    public static Command Create()
    {
        var command = new Command("convert", "Adds a form of a model that accelerators can run to its bundle, after comparing the two.") { s_reference, s_to, s_strategy, s_target, s_batch, s_precision, s_stream, s_skip, s_transactions, s_check };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        if (context.Get(s_precision) is { } precision) { return RunPrecision(context, precision); }
        string form = context.Get(s_to)!;
        if (form != "tensor") { throw CommandFailure.BadInput("USAGE", $"--to '{form}' is no form; there is tensor (half precision and eight bits are models of their own: --precision)"); }
        TensorTarget target = context.Get(s_target) switch
        {
            "accelerator" => TensorTarget.Accelerator,
            "cpu" => TensorTarget.Cpu,
            string other => throw CommandFailure.BadInput("USAGE", $"--target '{other}' is neither accelerator nor cpu"),
            null => TensorTarget.Accelerator,
        };
        int batch = context.Get(s_batch);
        if (batch is < 1 or > 65_536) { throw CommandFailure.BadInput("USAGE", $"--batch {batch} is not 1 to 65536"); }

        // A strategy that was asked for makes a variant of its own beside the chosen one, to measure one against the other.
        string name = context.Get(s_strategy) is { } asked ? $"{form}-{asked}" : form;
        ModelConversion found = ModelConversion.Run(ModelFiles.Load(context.Get(s_reference)!), name, Strategy(context.Get(s_strategy)), target, batch);
        bool check = context.Get(s_check), isThere = found.IsInBundle();
        if (found.Conforms && !check && !isThere) { found.Write(DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime)); }

        if (output.Json) { output.WriteJson(found.WriteJson); } else { Show(output, found); }
        if (!found.Conforms)
        {
            output.ErrorLine(ModelCodes.NotConforming, $"the variant is {found.Parity.MaxAbsoluteDifference:0.0e+0} away from the model in row {found.Parity.WorstRow}; {GoldenRows.ToleranceMax:0e+0} is allowed. Nothing was written.");
            return ExitCode.No;
        }

        if (check && !isThere)
        {
            output.ErrorLine(ModelCodes.Untrusted, $"the bundle has no variant '{found.Name}' of these bytes; run the same without --check");
            return ExitCode.No;
        }

        return ExitCode.Done;
    }

    private static ExitCode RunPrecision(VerbContext context, string name)
    {
        Output output = context.Output;
        Precision[] all = Enum.GetValues<Precision>();
        int index = Array.FindIndex(all, p => ReducedPrecision.Name(p) == name), transactions = context.Get(s_transactions), skip = context.Get(s_skip);
        if (index < 0) { throw CommandFailure.BadInput("USAGE", $"--precision '{name}' is none of {string.Join(", ", all.Select(ReducedPrecision.Name))}"); }
        if (transactions < 100 || skip < 0) { throw CommandFailure.BadInput("USAGE", "--transactions must be 100 or more, --skip 0 or more"); }
        PrecisionConversion found = output.Run("Reading", "transactions", transactions, progress =>
            PrecisionConversion.Run(ModelFiles.Load(context.Get(s_reference)!), StreamFiles.Load(context.Get(s_stream)!), all[index], skip, transactions, done => progress.Done = done, context.Cancellation));
        bool check = context.Get(s_check), isThere = found.IsThere();
        if (!check && !isThere) { found.Write(DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime)); }
        if (output.Json) { output.WriteJson(found.WriteJson); } else { found.Show(output); }
        if (!check || isThere) { return ExitCode.Done; }
        output.ErrorLine(ModelCodes.Untrusted, $"there is no {found.Reference} of these bytes; run the same without --check");
        return ExitCode.No;
    }

    private static TensorStrategy? Strategy(string? name)
    {
        if (name is null) { return null; }
        TensorStrategy[] all = Enum.GetValues<TensorStrategy>();
        int index = Array.FindIndex(all, s => TensorForest.Name(s) == name);
        return index >= 0 ? all[index] : throw CommandFailure.BadInput("USAGE", $"--strategy '{name}' is none of {string.Join(", ", all.Select(TensorForest.Name))}");
    }

    private static void Show(Output output, ModelConversion found)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{found.Bundle.Manifest.Name}@{found.Bundle.Manifest.Version}, variant {found.Name}: {TensorForest.Name(found.Strategy.Strategy)}, {found.Onnx.Length / 1024.0:N0} KiB, sha256:{found.Sha256[..16]}…"));
        output.WriteLine($"{found.Strategy.Reason}.");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Farthest from golden: {found.ToGolden.MaxAbsoluteDifference:0.0e+0} in {found.ToGolden.RowCount:N0} rows; from the model: {found.Parity.MaxAbsoluteDifference:0.0e+0} in {found.Parity.RowCount:N0} rows."));
    }
}
