using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Risk.Cli.CommandLine;
using Risk.Core.Log;
using Risk.Storage.Index;
using Risk.Storage.Log;

namespace Risk.Cli.Verbs;

/// <summary>One decision as it lies in the log, with its private payload.</summary>
/// <param name="Payload">Empty when it was erased, or is not here.</param>
internal sealed record StoredDecision(string Directory, long Sequence, byte[] Entry, byte[] Payload)
{
    private const int ProgressEvery = 1 << 14;

    /// <summary>A view of <see cref="Entry"/>.</summary>
    public DecisionRecord Record()
    {
        RecordFault fault = DecisionRecordCodec.Read(Entry, out DecisionRecord record);
        return fault == RecordFault.None ? record : throw new DecisionLogException(LogCodes.Corrupt, $"Record {Sequence} in {Directory} cannot be read ({fault}); `risk verify {Directory}` says more.");
    }

    /// <summary>A view of <see cref="Payload"/>; false when there is none.</summary>
    public bool TryPayload(out PrivatePayload view)
    {
        view = default;
        return Payload.Length > 0 && PrivatePayloadCodec.Read(Payload, out view) == RecordFault.None;
    }

    /// <summary>The decision of an event id, or of a place in the log given as <c>#sequence</c>.</summary>
    /// <exception cref="CommandFailure">LOG_NOT_FOUND, DECISION_NOT_FOUND.</exception>
    public static StoredDecision Find(VerbContext context, string directory, string id)
    {
        RunDirectory.RequireLog(directory);
        return FindOrNull(context, directory, id, out long records) ?? throw CommandFailure.BadInput("DECISION_NOT_FOUND", $"There is no decision '{id}' among the {records} records in {directory}.");
    }

    /// <summary>What the challengers of a run said of an event, as far as they have come; see <see cref="ChallengerFiles.Of"/>.</summary>
    public static IReadOnlyList<(string Name, StoredDecision Decision)> OfChallengers(VerbContext context, string directory, string eventId) =>
        [.. ChallengerFiles.Of(directory)
            .Select(own => (own.Name, Decision: OfChallenger(context, own.Directory, eventId)))
            .Where(found => found.Decision is not null).Select(found => (found.Name, found.Decision!))];

    /// <summary>Null also where its log is damaged: that is told when it is looked at itself.</summary>
    private static StoredDecision? OfChallenger(VerbContext context, string directory, string eventId)
    {
        try
        {
            return File.Exists(LogFolder.Find(directory).Checkpoint) && Locate(context, directory, eventId) is { } place ? FindOrNull(context, directory, $"#{place}", out _) : null;
        }
        catch (DecisionLogException e)
        {
            context.Output.Note($"{e.Code}: the challenger's log in {directory} cannot be read: ./risk verify {directory}");
            return null;
        }
    }

    private static StoredDecision? FindOrNull(VerbContext context, string directory, string id, out long records)
    {
        long? sequence = !id.StartsWith('#') ? Locate(context, directory, id)
            : long.TryParse(id.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out long given) ? given
            : null;
        using DecisionLogReader reader = DecisionLogReader.Open(directory);
        records = reader.End;
        return sequence is { } place && place < reader.End && reader.Seek(place) ? new StoredDecision(directory, place, reader.Record.ToArray(), reader.Payload.ToArray()) : null;
    }

    /// <summary>By the index, which first takes in what is new in the log; where none can be kept, by reading the log through.</summary>
    private static long? Locate(VerbContext context, string directory, string id)
    {
        LogFolder folder = LogFolder.Find(directory);
        if (!File.Exists(folder.VerifierKey) || !VerifierKey.TryParse(File.ReadAllText(folder.VerifierKey), out VerifierKey? key))
        {
            return Scan(context, directory, id);
        }

        try
        {
            using DecisionIndex index = DecisionIndex.Open(folder.Root, key);
            using DecisionLogReader news = DecisionLogReader.Open(directory, index.NextSequence);
            context.Output.Run("Indexing", "records", news.End, report => index.CatchUp(news, new Forward(report), context.Cancellation));
            context.Cancellation.ThrowIfCancellationRequested();
            return index.Find(id) is [var first, ..] ? first.Sequence : null;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or SqliteException || (e is IOException && e is not DecisionLogException))
        {
            return Scan(context, directory, id);
        }
    }

    private static long? Scan(VerbContext context, string directory, string id)
    {
        byte[] eventId = Encoding.UTF8.GetBytes(id);
        using DecisionLogReader reader = DecisionLogReader.Open(directory);
        return context.Output.Run<long?>("Looking", "records", reader.End, report =>
        {
            while (reader.Read())
            {
                if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) == RecordFault.None && record.Kind == RecordKind.Decision && record.EventId.SequenceEqual(eventId))
                {
                    return reader.Sequence;
                }

                if (reader.Sequence % ProgressEvery == 0)
                {
                    context.Cancellation.ThrowIfCancellationRequested();
                    report.Done = reader.Sequence;
                }
            }

            return null;
        });
    }

    private sealed class Forward(ProgressReport report) : IProgress<long>
    {
        public void Report(long value) => report.Done = value;
    }

    /// <summary>The members of the record's JSON form; the reasons get their texts.</summary>
    public void WriteRecord(Utf8JsonWriter json, Func<string, string, string> reasonText)
    {
        DecisionRecord record = Record();
        using var document = JsonDocument.Parse(DecisionRecordJson.ToUtf8(record));
        foreach (JsonProperty member in document.RootElement.EnumerateObject())
        {
            if (member.NameEquals("reasons"))
            {
                WriteReasons(json, member.Value, reasonText);
            }
            else
            {
                member.WriteTo(json);
            }
        }
    }

    private static void WriteReasons(Utf8JsonWriter json, JsonElement reasons, Func<string, string, string> reasonText)
    {
        json.WriteStartArray("reasons");
        foreach (JsonElement reason in reasons.EnumerateArray())
        {
            json.WriteStartObject();
            foreach (JsonProperty member in reason.EnumerateObject())
            {
                member.WriteTo(json);
            }

            json.WriteString("text", reasonText(reason.GetProperty("code").GetString()!, reason.GetProperty("source").GetString()!));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
