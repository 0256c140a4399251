using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Transactions;

namespace Risk.Cli.Produce;

/// <summary>What <c>risk produce</c> says at its end, and the exit code that goes with it.</summary>
internal static class ProduceView
{
    public static ExitCode Show(Output output, string topic, PlayResult result, bool isStrict)
    {
        foreach (Rejection rejection in result.Rejections)
        {
            output.ErrorLine(rejection.Code.Text(), F($"line {rejection.SourceOffset}{(rejection.Field is { } field ? $", field {field}" : "")}: no transaction, left out"));
        }
        long rejected = result.Rejected.Values.Sum();
        if (rejected > result.Rejections.Count) { output.Note(F($"and {rejected - result.Rejections.Count:N0} more records that are no transactions; --json counts them by code")); }

        if (output.Json) { output.WriteJson(json => Write(json, topic, result)); }
        else { Write(output, topic, result, rejected); }

        if (result.Failure is { } failure)
        {
            output.ErrorLine(failure.Code.Text(), failure.Message);
            return ExitCode.WorldFailed;
        }
        if (result.IsInterrupted)
        {
            output.ErrorLine("INTERRUPTED", "stopped before the end; what was acknowledged stays in the topic, and the same command plays the stream from its beginning");
            return ExitCode.WorldFailed;
        }
        return isStrict && rejected > 0 ? ExitCode.No : ExitCode.Done;
    }

    private static void Write(Output output, string topic, PlayResult result, long rejected)
    {
        output.WriteLine(F($"{result.Sent:N0} transactions -> {topic} in {result.Seconds:N1} s, {PerSecond(result):N0}/s; {result.Partitions.Count} partitions with {Min(result):N0} to {Max(result):N0} each"));
        output.WriteLine(F($"{result.Acknowledged:N0} messages acknowledged by the brokers{(result.Unconfirmed > 0 ? F($"; of {result.Unconfirmed:N0} nobody knows") : "")}"));
        if (result.SendsLabels) { output.WriteLine(F($"{result.LabelsSent:N0} labels sent; {result.LabelsNotDue:N0} were not due yet, {result.LabelsWithoutTransaction:N0} are of transactions that were not sent")); }
        if (rejected > 0) { output.WriteLine(F($"{rejected:N0} records left out: {string.Join(", ", result.Rejected.Select(pair => F($"{pair.Value:N0} {pair.Key.Text()}")))}")); }
        if (result.OutOfOrder > 0) { output.WriteLine(F($"{result.OutOfOrder:N0} transactions stand behind a later one by more than the stream's grace; they were sent in the source's order")); }
        if (result.BehindMaxSeconds > 0.1) { output.WriteLine(F($"up to {result.BehindMaxSeconds:N1} s behind the wanted pace")); }
    }

    private static void Write(Utf8JsonWriter json, string topic, PlayResult result)
    {
        json.WriteString("topic", topic);
        json.WriteNumber("sent", result.Sent);
        json.WriteNumber("acknowledged", result.Acknowledged);
        json.WriteNumber("unconfirmed", result.Unconfirmed);
        json.WriteNumber("outOfOrder", result.OutOfOrder);
        json.WriteStartObject("rejected");
        foreach ((ErrorCode code, long count) in result.Rejected) { json.WriteNumber(code.Text(), count); }
        json.WriteEndObject();
        json.WriteStartObject("partitions");
        json.WriteNumber("count", result.Partitions.Count);
        json.WriteNumber("min", Min(result));
        json.WriteNumber("max", Max(result));
        json.WriteEndObject();
        if (result.SendsLabels)
        {
            json.WriteStartObject("labels");
            json.WriteNumber("sent", result.LabelsSent);
            json.WriteNumber("notDue", result.LabelsNotDue);
            json.WriteNumber("withoutTransaction", result.LabelsWithoutTransaction);
            json.WriteEndObject();
        }
        json.WriteNumber("seconds", Math.Round(result.Seconds, 3));
        json.WriteNumber("perSecond", Math.Round(PerSecond(result), 1));
        json.WriteNumber("behindMaxSeconds", Math.Round(result.BehindMaxSeconds, 3));
        json.WriteBoolean("interrupted", result.IsInterrupted);
    }

    private static double PerSecond(PlayResult result) => result.Seconds > 0 ? result.Sent / result.Seconds : 0;

    private static long Min(PlayResult result) => result.Partitions.Count == 0 ? 0 : result.Partitions.Min();

    private static long Max(PlayResult result) => result.Partitions.Count == 0 ? 0 : result.Partitions.Max();

    private static string F(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
