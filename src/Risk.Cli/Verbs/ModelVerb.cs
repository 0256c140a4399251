using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Models;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary><c>risk model list|verify|convert</c>: the registry. Exit 1 when a bundle is not what it should be.</summary>
internal static class ModelVerb
{
    private const int BatchSizeMax = 512;

    private static readonly Argument<string?> Reference = new("NAME@VERSION") { Description = "One model; all of them when left out.", Arity = ArgumentArity.ZeroOrOne };

    public static Command Create()
    {
        var list = new Command("list", "The models here, whose they are, and whether their bytes are the approved ones.");
        list.SetVerb(RunList);
        var verify = new Command("verify", "Runs every model's golden rows on every scorer that could serve it.") { Reference };
        verify.SetVerb(RunVerify);
        return new Command("model", "The model registry.") { list, verify, ModelConvertVerb.Create() };
    }

    private static ExitCode RunList(VerbContext context)
    {
        List<ListedModel> models = [.. ModelFiles.Folders().Select(ListedModel.Read)];
        Output output = context.Output;
        if (output.Json)
        {
            output.WriteJson(json => WriteAll(json, "models", models, (writer, model) => model.Write(writer)));
        }
        else
        {
            Table table = output.CreateTable("model", "purpose", "owner", "materiality", "form", "metrics", "digest", "");
            foreach (ListedModel model in models)
            {
                table.AddRow(
                    Markup.Escape(model.Reference), Markup.Escape(model.Manifest?.Purpose ?? ""), Markup.Escape(model.Manifest?.Owner ?? ""), Markup.Escape(model.Manifest?.Materiality ?? ""),
                    Markup.Escape(model.Form), Markup.Escape(model.MetricsText), model.Manifest?.Sha256[..12] ?? "", model.Refusal is null ? "[green]ok[/]" : "[red]refused[/]");
            }

            output.People.Write(table);
        }

        return Refuse(context, models.Select(m => m.Refusal));
    }

    private static ExitCode RunVerify(VerbContext context)
    {
        Output output = context.Output;
        string? reference = context.Get(Reference);
        IReadOnlyList<string> folders = ModelFiles.Folders();
        if (reference is not null && !folders.Any(f => ModelFiles.Reference(f) == reference))
        {
            throw CommandFailure.BadInput("MODEL_NOT_FOUND", $"There is no model '{reference}'; there are {string.Join(", ", folders.Select(ModelFiles.Reference))}.");
        }

        List<VerifiedModel> models = output.Run("Golden runs", "models", null, report =>
            folders.Where(f => reference is null || ModelFiles.Reference(f) == reference).Select(folder =>
            {
                context.Cancellation.ThrowIfCancellationRequested();
                report.Note = ModelFiles.Reference(folder);
                report.Done++;
                return VerifiedModel.Run(folder, BatchSizeMax);
            }).ToList());

        if (output.Json)
        {
            output.WriteJson(json => WriteAll(json, "models", models, (writer, model) => model.Write(writer)));
        }
        else
        {
            Show(output, models);
        }

        return Refuse(context, models.Select(m => m.Refusal));
    }

    private static void Show(Output output, List<VerifiedModel> models)
    {
        Table table = output.CreateTable("model", "scorer", "golden rows", "farthest from golden", "");
        foreach (VerifiedModel model in models)
        {
            foreach (ConformanceReport run in model.Runs)
            {
                table.AddRow(
                    Markup.Escape(model.Reference), Markup.Escape(run.ExecutionProvider), run.RowCount.ToString("#,0", CultureInfo.InvariantCulture),
                    run.MaxAbsoluteDifference.ToString("0.0e+0", CultureInfo.InvariantCulture), run.Conforms ? "[green]conforms[/]" : "[red]does not conform[/]");
            }
        }

        output.People.Write(table);
        foreach (VerifiedModel model in models.Where(m => m.Serving is not null))
        {
            output.WriteLine($"{model.Reference}: {model.Serving}.");
        }
    }

    private static ExitCode Refuse(VerbContext context, IEnumerable<ModelRefusal?> refusals)
    {
        List<ModelRefusal> refused = [.. refusals.OfType<ModelRefusal>()];
        refused.ForEach(refusal => context.Output.ErrorLine(refusal.Code, refusal.Reason));
        return refused.Count == 0 ? ExitCode.Done : ExitCode.No;
    }

    private static void WriteAll<T>(Utf8JsonWriter json, string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        json.WriteStartArray(name);
        foreach (T item in items)
        {
            json.WriteStartObject();
            write(json, item);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
