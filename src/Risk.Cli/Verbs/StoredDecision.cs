using System.Globalization;
using System.Text;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Log;
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
        using DecisionLogReader reader = DecisionLogReader.Open(RunDirectory.RequireLog(directory));
        bool isSequence = id.StartsWith('#');
        bool found = isSequence
            ? long.TryParse(id.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out long sequence) && sequence < reader.End && reader.Seek(sequence)
            : Scan(context, reader, Encoding.UTF8.GetBytes(id));
        return found
            ? new StoredDecision(directory, reader.Sequence, reader.Record.ToArray(), reader.Payload.ToArray())
            : throw CommandFailure.BadInput("DECISION_NOT_FOUND", $"There is no decision '{id}' among the {reader.End} records in {directory}.");
    }

    private static bool Scan(VerbContext context, DecisionLogReader reader, byte[] eventId) =>
        context.Output.Run("Looking", "records", reader.End, report =>
        {
            while (reader.Read())
            {
                if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) == RecordFault.None && record.Kind == RecordKind.Decision && record.EventId.SequenceEqual(eventId))
                {
                    return true;
                }

                if (reader.Sequence % ProgressEvery == 0)
                {
                    context.Cancellation.ThrowIfCancellationRequested();
                    report.Done = reader.Sequence;
                }
            }

            return false;
        });

    /// <summary>The members of the record's JSON form; the reasons get their texts.</summary>
    public void WriteRecord(Utf8JsonWriter json, Func<string, string, string> reasonText)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            DecisionRecordJson.Write(writer, Record());
        }

        using var document = JsonDocument.Parse(buffer.ToArray());
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
