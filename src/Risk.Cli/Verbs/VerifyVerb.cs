using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Storage.Log;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary><c>risk verify DIR</c>: verifies a decision log offline. Exit 0 when it is as it was written, 1 when it is not.</summary>
internal static class VerifyVerb
{
    private static readonly Argument<string> Folder = new("DIR") { Description = "The run's directory, or the log itself." };
    private static readonly Option<string?> CheckpointFile = new("--checkpoint") { Description = "A checkpoint kept from elsewhere to verify against; the log's own when left out.", HelpName = "FILE" };
    private static readonly Option<string?> KeyFile = new("--key") { Description = "The verifier key, from a source you trust; keys/log.vkey of the run when left out.", HelpName = "FILE" };
    private static readonly Option<bool> Rederive = new("--rederive") { Description = "Also derive every decision again from its own record and private payload." };
    private static readonly Option<string?> Stream = ShowVerb.StreamOption();

    public static Command Create()
    {
        var command = new Command("verify", "Verifies a decision log offline: every record, every hash, the root and who signed it.") { Folder, CheckpointFile, KeyFile, Rederive, Stream };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        string directory = RunDirectory.RequireLog(context.Get(Folder));
        var options = new LogVerifyOptions { CheckpointFile = Existing(context.Get(CheckpointFile), "checkpoint"), VerifierKey = ReadKey(context.Get(KeyFile)) };
        long started = Stopwatch.GetTimestamp();
        LogVerification found = context.Output.Run("Verifying", "records", total: null, report => LogVerifier.Verify(directory, options, new Forward(report, context.Cancellation)));
        LogRederivation? derived = context.Get(Rederive) && found.IsVerified ? LogRederivation.Run(context, directory, context.Get(Stream)) : null;
        TimeSpan took = Stopwatch.GetElapsedTime(started);

        if (context.Output.Json)
        {
            context.Output.WriteJson(json => Write(json, found, derived, took));
        }
        else
        {
            Show(context.Output, found, derived, took, isOwnKey: options.VerifierKey is null);
        }

        if (!found.IsVerified)
        {
            context.Output.ErrorLine(found.Code, found.Sentence);
        }
        else if (derived?.FirstDifference is var (sequence, result))
        {
            context.Output.ErrorLine("REDERIVATION_DIFFERS", $"Record {sequence}: {result.Field} is recorded as {result.Recorded} and derived as {result.Derived}.");
        }

        return IsGood(found, derived) ? ExitCode.Done : ExitCode.No;
    }

    private static bool IsGood(LogVerification found, LogRederivation? derived) => found.IsVerified && derived?.FirstDifference is null;

    private static void Write(Utf8JsonWriter json, LogVerification found, LogRederivation? derived, TimeSpan took)
    {
        json.WriteBoolean("ok", IsGood(found, derived));
        json.WriteString("code", found.Code);
        json.WriteString("sentence", found.Sentence);
        json.WriteString("origin", found.Origin);
        json.WriteNumber("size", found.Size);
        json.WriteString("rootHash", found.RootHash);
        json.WriteString("verifierKey", found.VerifierKey);
        json.WriteNumber("decisions", found.Decisions);
        json.WriteNumber("otherRecords", found.OtherRecords);
        json.WriteNumber("duplicatesOfId", found.Code == VerifyCodes.DuplicateDecision ? 1 : 0);
        json.WriteNumber("payloadsVerified", found.PayloadsVerified);
        json.WriteNumber("payloadsAbsent", found.PayloadsAbsent);
        if (found.FirstBadSequence is { } first)
        {
            json.WriteNumber("firstBad", first);
            json.WriteNumber("lastBad", found.LastBadSequence ?? first);
        }

        derived?.Write(json);
        json.WriteNumber("durationMs", (long)took.TotalMilliseconds);
    }

    private static void Show(Output output, LogVerification found, LogRederivation? derived, TimeSpan took, bool isOwnKey)
    {
        Table table = output.CreateTable("", "");
        table.HideHeaders();
        void Row(string name, string value) => table.AddRow(Markup.Escape(name), Markup.Escape(value));
        table.AddRow("result", found.IsVerified ? "[green]verified[/]" : "[red]not verified[/]");
        Row("", found.Sentence);
        if (found.Origin.Length > 0)
        {
            Row("log", found.Origin);
            Row("records", string.Create(CultureInfo.InvariantCulture, $"{found.Size:N0}: {found.Decisions:N0} decisions, each of another transaction; {found.OtherRecords:N0} others"));
            Row("payloads", string.Create(CultureInfo.InvariantCulture, $"{found.PayloadsVerified:N0} fit their commitment, {found.PayloadsAbsent:N0} erased or not here"));
            Row("root hash", found.RootHash);
            Row("signed by", found.VerifierKey + (isOwnKey ? " (the run's own key: --key with a key you got elsewhere proves more)" : ""));
        }

        if (derived is not null)
        {
            Row("derived again", derived.Sentence);
        }

        Row("took", string.Create(CultureInfo.InvariantCulture, $"{took.TotalSeconds:0.0} s"));
        output.People.Write(table);
    }

    private static string? ReadKey(string? path) => Existing(path, "verifier key") is { } file ? File.ReadAllText(file) : null;

    private static string? Existing(string? path, string what) =>
        path is null || File.Exists(path) ? path : throw CommandFailure.BadInput("FILE_NOT_FOUND", $"There is no {what} at {path}.");

    private sealed class Forward(ProgressReport report, CancellationToken cancellation) : IProgress<LogVerifyProgress>
    {
        public void Report(LogVerifyProgress value)
        {
            cancellation.ThrowIfCancellationRequested();
            (report.Total, report.Done) = (value.Size, value.Checked);
        }
    }
}
