using System.Diagnostics.CodeAnalysis;

namespace Risk.Core.Log;

/// <summary>
/// The one canonical encoding of a <see cref="DecisionRecord"/>: a deterministic CBOR map
/// (https://www.rfc-editor.org/rfc/rfc8949#section-4.2.1) with the integer keys of <see cref="Field"/>.
/// Numbers, flags and times are always there; texts, digests, scores, thresholds, reasons and cost only when they hold
/// something, and a present empty one is refused, so that one record has exactly one encoding.
/// </summary>
public static class DecisionRecordCodec
{
    /// <summary>The keys on disk. Never renumber; a new field takes the next number and a new schema version.</summary>
    internal enum Field
    {
        SchemaVersion = 1,
        Kind = 2,
        Sequence = 3,
        Stream = 4,
        EventId = 5,
        SourceName = 6,
        SourcePartition = 7,
        SourceOffset = 8,
        EventTime = 9,
        DecisionTime = 10,
        Subject = 11,
        Commitment = 12,
        ModelDigest = 13,
        CatalogDigest = 14,
        PolicyDigest = 15,
        ExecutionProvider = 16,
        Device = 17,
        BatchSize = 18,
        BatchPosition = 19,
        RawScore = 20,
        CalibratedScore = 21,
        Thresholds = 22,
        Outcome = 23,
        Reasons = 24,
        Rung = 25,
        RungCause = 26,
        Cost = 27,
        Actor = 28,
        Tenant = 29,
        SolelyAutomated = 30,
        Flags = 31,
    }

    private const int OutcomeMax = 3;
    private const int RungMax = 4;
    private const ulong FlagsKnown = (ulong)(RecordFlags.Late | RecordFlags.Incomplete);
    private const ulong KindMax = (ulong)RecordKind.Degradation;

    /// <summary>31 keys of at most 2 bytes, 31 heads of at most 9, floats and fixed fields.</summary>
    private const int FixedBytesMax = 31 * (2 + CborWriter.HeadBytesMax) + 8 * 9;

    private static readonly ulong AlwaysThere = Bits(
        Field.SchemaVersion, Field.Kind, Field.Sequence, Field.SourcePartition, Field.SourceOffset, Field.EventTime,
        Field.DecisionTime, Field.BatchSize, Field.BatchPosition, Field.Outcome, Field.Rung, Field.SolelyAutomated, Field.Flags);

    private static readonly ulong ThereInDecisions = AlwaysThere | Bits(
        Field.Stream, Field.EventId, Field.Commitment, Field.CatalogDigest, Field.PolicyDigest);

    /// <summary>An upper bound of the bytes that <see cref="Write"/> needs.</summary>
    public static int BytesMax(in DecisionRecord record) =>
        FixedBytesMax + record.Stream.Length + record.EventId.Length + record.SourceName.Length + record.Subject.Length +
        record.Commitment.Length + record.ModelDigest.Length + record.CatalogDigest.Length + record.PolicyDigest.Length +
        record.ExecutionProvider.Length + record.Device.Length + record.Reasons.Encoded.Length + record.RungCause.Length +
        record.CostMethod.Length + record.Actor.Length + record.Tenant.Length;

    /// <summary>
    /// Writes the record and returns its length in bytes, at most <see cref="LogFormat.EntryBytesMax"/>. A record that
    /// <see cref="Read"/> would refuse is a bug of the caller; sizes and finite numbers are checked here and throw.
    /// </summary>
    /// <exception cref="ArgumentException">A fixed-size field has another size, or the record is too large.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is not finite or outside its range.</exception>
    public static int Write(in DecisionRecord record, Span<byte> destination)
    {
        Check(record);
        var writer = new CborWriter(destination);
        writer.WriteMap(System.Numerics.BitOperations.PopCount(Present(record)));
        Unsigned(ref writer, Field.SchemaVersion, (ulong)record.SchemaVersion);
        Unsigned(ref writer, Field.Kind, (ulong)record.Kind);
        Unsigned(ref writer, Field.Sequence, (ulong)record.Sequence);
        Text(ref writer, Field.Stream, record.Stream);
        Text(ref writer, Field.EventId, record.EventId);
        Text(ref writer, Field.SourceName, record.SourceName);
        Unsigned(ref writer, Field.SourcePartition, (ulong)record.SourcePartition);
        Unsigned(ref writer, Field.SourceOffset, (ulong)record.SourceOffset);
        Signed(ref writer, Field.EventTime, record.EventTimeMicros);
        Signed(ref writer, Field.DecisionTime, record.DecisionTimeMicros);
        Bytes(ref writer, Field.Subject, record.Subject);
        Bytes(ref writer, Field.Commitment, record.Commitment);
        Bytes(ref writer, Field.ModelDigest, record.ModelDigest);
        Bytes(ref writer, Field.CatalogDigest, record.CatalogDigest);
        Bytes(ref writer, Field.PolicyDigest, record.PolicyDigest);
        Text(ref writer, Field.ExecutionProvider, record.ExecutionProvider);
        Text(ref writer, Field.Device, record.Device);
        Unsigned(ref writer, Field.BatchSize, (ulong)record.BatchSize);
        Unsigned(ref writer, Field.BatchPosition, (ulong)record.BatchPosition);
        WriteScores(ref writer, record);
        Unsigned(ref writer, Field.Outcome, (ulong)record.Outcome);
        if (record.Reasons.Count > 0)
        {
            Key(ref writer, Field.Reasons);
            writer.WriteArray(record.Reasons.Count);
            writer.WriteRaw(record.Reasons.Encoded);
        }

        Unsigned(ref writer, Field.Rung, (ulong)record.Rung);
        Text(ref writer, Field.RungCause, record.RungCause);
        if (HasCost(record))
        {
            Key(ref writer, Field.Cost);
            writer.WriteArray(3);
            writer.WriteFloat(record.CostMoney);
            writer.WriteFloat(record.CostJoules);
            writer.WriteText(record.CostMethod);
        }

        Text(ref writer, Field.Actor, record.Actor);
        Text(ref writer, Field.Tenant, record.Tenant);
        Key(ref writer, Field.SolelyAutomated);
        writer.WriteBool(record.SolelyAutomated);
        Unsigned(ref writer, Field.Flags, (ulong)record.Flags);
        if (writer.Length > LogFormat.EntryBytesMax)
        {
            ThrowTooLarge(writer.Length);
        }

        return writer.Length;
    }

    /// <summary>
    /// Reads an entry, strictly: anything but the one canonical encoding is refused. The record's spans point into
    /// <paramref name="entry"/>. After a fault the record must not be used.
    /// </summary>
    public static RecordFault Read(ReadOnlySpan<byte> entry, out DecisionRecord record)
    {
        var read = new DecisionRecord();
        record = read;
        if (entry.Length > LogFormat.EntryBytesMax)
        {
            return RecordFault.ValueRange;
        }

        var reader = new CborReader(entry);
        int pairs = reader.ReadMap();
        int before = 0;
        ulong seen = 0;
        for (int i = 0; i < pairs && reader.Fault == RecordFault.None; i++)
        {
            int key = (int)reader.ReadUnsigned(int.MaxValue);
            if (key <= before)
            {
                reader.Fail(RecordFault.NotCanonical);
                break;
            }

            before = key;
            seen |= 1ul << key;
            ReadField(ref reader, (Field)key, ref read);
        }

        reader.ReadEnd();
        if (reader.Fault != RecordFault.None)
        {
            return reader.Fault;
        }

        record = read;
        ulong required = record.Kind == RecordKind.Decision ? ThereInDecisions : AlwaysThere;
        return (seen & required) == required ? RecordFault.None : RecordFault.MissingField;
    }

    private static void ReadField(scoped ref CborReader reader, Field field, ref DecisionRecord record)
    {
        switch (field)
        {
            case Field.SchemaVersion:
                record.SchemaVersion = (int)reader.ReadUnsigned(int.MaxValue);
                if (record.SchemaVersion != LogFormat.SchemaVersion)
                {
                    reader.Fail(RecordFault.SchemaVersion);
                }

                break;
            case Field.Kind: record.Kind = (RecordKind)reader.ReadUnsigned(KindMax); break;
            case Field.Sequence: record.Sequence = (long)reader.ReadUnsigned(long.MaxValue); break;
            case Field.Stream: record.Stream = reader.ReadTextNotEmpty(); break;
            case Field.EventId: record.EventId = reader.ReadTextNotEmpty(); break;
            case Field.SourceName: record.SourceName = reader.ReadTextNotEmpty(); break;
            case Field.SourcePartition: record.SourcePartition = (int)reader.ReadUnsigned(int.MaxValue); break;
            case Field.SourceOffset: record.SourceOffset = (long)reader.ReadUnsigned(long.MaxValue); break;
            case Field.EventTime: record.EventTimeMicros = reader.ReadSigned(); break;
            case Field.DecisionTime: record.DecisionTimeMicros = reader.ReadSigned(); break;
            case Field.Subject: record.Subject = reader.ReadBytes(LogFormat.SubjectTokenBytes); break;
            case Field.Commitment: record.Commitment = reader.ReadBytes(LogFormat.HashBytes); break;
            case Field.ModelDigest: record.ModelDigest = reader.ReadBytes(LogFormat.HashBytes); break;
            case Field.CatalogDigest: record.CatalogDigest = reader.ReadBytes(LogFormat.HashBytes); break;
            case Field.PolicyDigest: record.PolicyDigest = reader.ReadBytes(LogFormat.HashBytes); break;
            case Field.ExecutionProvider: record.ExecutionProvider = reader.ReadTextNotEmpty(); break;
            case Field.Device: record.Device = reader.ReadTextNotEmpty(); break;
            case Field.BatchSize: record.BatchSize = (int)reader.ReadUnsigned(int.MaxValue); break;
            case Field.BatchPosition: record.BatchPosition = (int)reader.ReadUnsigned(int.MaxValue); break;
            case Field.RawScore: record.RawScore = reader.ReadFloat32(); break;
            case Field.CalibratedScore: record.CalibratedScore = reader.ReadFloat(); break;
            case Field.Thresholds: ReadThresholds(ref reader, ref record); break;
            case Field.Outcome: record.Outcome = (int)reader.ReadUnsigned(OutcomeMax); break;
            case Field.Reasons: ReadReasons(ref reader, ref record); break;
            case Field.Rung: record.Rung = (int)reader.ReadUnsigned(RungMax); break;
            case Field.RungCause: record.RungCause = reader.ReadTextNotEmpty(); break;
            case Field.Cost: ReadCost(ref reader, ref record); break;
            case Field.Actor: record.Actor = reader.ReadTextNotEmpty(); break;
            case Field.Tenant: record.Tenant = reader.ReadTextNotEmpty(); break;
            case Field.SolelyAutomated: record.SolelyAutomated = reader.ReadBool(); break;
            case Field.Flags: record.Flags = (RecordFlags)reader.ReadUnsigned(FlagsKnown); break;
            default: reader.Fail(RecordFault.UnknownField); break;
        }
    }

    private static void ReadThresholds(scoped ref CborReader reader, ref DecisionRecord record)
    {
        if (reader.ReadArray() != 2)
        {
            reader.Fail(RecordFault.WrongType);
        }

        record.ReviewThreshold = reader.ReadFloat();
        record.DeclineThreshold = reader.ReadFloat();
    }

    private static void ReadReasons(scoped ref CborReader reader, ref DecisionRecord record)
    {
        int count = reader.ReadArray();
        if (count == 0)
        {
            reader.Fail(RecordFault.NotCanonical);
        }

        int start = reader.Position;
        for (int i = 0; i < count && reader.Fault == RecordFault.None; i++)
        {
            ReasonSequence.Enumerator.ReadOne(ref reader);
        }

        if (reader.Fault == RecordFault.None)
        {
            record.Reasons = new ReasonSequence(reader.Slice(start, reader.Position), count);
        }
    }

    private static void ReadCost(scoped ref CborReader reader, ref DecisionRecord record)
    {
        if (reader.ReadArray() != 3)
        {
            reader.Fail(RecordFault.WrongType);
        }

        record.CostMoney = reader.ReadFloat();
        record.CostJoules = reader.ReadFloat();
        record.CostMethod = reader.ReadText();
        if (reader.Fault == RecordFault.None && !HasCost(record))
        {
            reader.Fail(RecordFault.NotCanonical);
        }
    }

    private static void WriteScores(ref CborWriter writer, in DecisionRecord record)
    {
        if (!float.IsNaN(record.RawScore))
        {
            Key(ref writer, Field.RawScore);
            writer.WriteFloat(record.RawScore);
        }

        if (!double.IsNaN(record.CalibratedScore))
        {
            Key(ref writer, Field.CalibratedScore);
            writer.WriteFloat(record.CalibratedScore);
        }

        if (!double.IsNaN(record.ReviewThreshold))
        {
            Key(ref writer, Field.Thresholds);
            writer.WriteArray(2);
            writer.WriteFloat(record.ReviewThreshold);
            writer.WriteFloat(record.DeclineThreshold);
        }
    }

    private static ulong Present(in DecisionRecord record) =>
        AlwaysThere |
        If(!record.Stream.IsEmpty, Field.Stream) |
        If(!record.EventId.IsEmpty, Field.EventId) |
        If(!record.SourceName.IsEmpty, Field.SourceName) |
        If(!record.Subject.IsEmpty, Field.Subject) |
        If(!record.Commitment.IsEmpty, Field.Commitment) |
        If(!record.ModelDigest.IsEmpty, Field.ModelDigest) |
        If(!record.CatalogDigest.IsEmpty, Field.CatalogDigest) |
        If(!record.PolicyDigest.IsEmpty, Field.PolicyDigest) |
        If(!record.ExecutionProvider.IsEmpty, Field.ExecutionProvider) |
        If(!record.Device.IsEmpty, Field.Device) |
        If(!float.IsNaN(record.RawScore), Field.RawScore) |
        If(!double.IsNaN(record.CalibratedScore), Field.CalibratedScore) |
        If(!double.IsNaN(record.ReviewThreshold), Field.Thresholds) |
        If(record.Reasons.Count > 0, Field.Reasons) |
        If(!record.RungCause.IsEmpty, Field.RungCause) |
        If(HasCost(record), Field.Cost) |
        If(!record.Actor.IsEmpty, Field.Actor) |
        If(!record.Tenant.IsEmpty, Field.Tenant);

    private static bool HasCost(in DecisionRecord record) =>
        record.CostMoney != 0 || record.CostJoules != 0 || !record.CostMethod.IsEmpty;

    private static ulong If(bool present, Field field) => present ? 1ul << (int)field : 0;

    private static ulong Bits(params ReadOnlySpan<Field> fields)
    {
        ulong bits = 0;
        foreach (Field field in fields)
        {
            bits |= 1ul << (int)field;
        }

        return bits;
    }

    private static void Key(ref CborWriter writer, Field field) => writer.WriteUnsigned((ulong)field);

    private static void Unsigned(ref CborWriter writer, Field field, ulong value)
    {
        Key(ref writer, field);
        writer.WriteUnsigned(value);
    }

    private static void Signed(ref CborWriter writer, Field field, long value)
    {
        Key(ref writer, field);
        writer.WriteSigned(value);
    }

    private static void Text(ref CborWriter writer, Field field, ReadOnlySpan<byte> utf8)
    {
        if (!utf8.IsEmpty)
        {
            Key(ref writer, field);
            writer.WriteText(utf8);
        }
    }

    private static void Bytes(ref CborWriter writer, Field field, ReadOnlySpan<byte> value)
    {
        if (!value.IsEmpty)
        {
            Key(ref writer, field);
            writer.WriteBytes(value);
        }
    }

    private static void Check(in DecisionRecord record)
    {
        Range(record.SchemaVersion == LogFormat.SchemaVersion, nameof(record.SchemaVersion), record.SchemaVersion);
        Range((ulong)record.Kind <= KindMax, nameof(record.Kind), (long)record.Kind);
        Range(record.Sequence >= 0, nameof(record.Sequence), record.Sequence);
        Range(record.SourcePartition >= 0, nameof(record.SourcePartition), record.SourcePartition);
        Range(record.SourceOffset >= 0, nameof(record.SourceOffset), record.SourceOffset);
        Range(record.BatchSize >= 0, nameof(record.BatchSize), record.BatchSize);
        Range(record.BatchPosition >= 0, nameof(record.BatchPosition), record.BatchPosition);
        Range(record.Outcome is >= 0 and <= OutcomeMax, nameof(record.Outcome), record.Outcome);
        Range(record.Rung is >= 0 and <= RungMax, nameof(record.Rung), record.Rung);
        Range(((ulong)record.Flags & ~FlagsKnown) == 0, nameof(record.Flags), (long)record.Flags);
        Range(double.IsNaN(record.ReviewThreshold) == double.IsNaN(record.DeclineThreshold), nameof(record.DeclineThreshold), 0);
        Length(record.Subject, LogFormat.SubjectTokenBytes, nameof(record.Subject));
        Length(record.Commitment, LogFormat.HashBytes, nameof(record.Commitment));
        Length(record.ModelDigest, LogFormat.HashBytes, nameof(record.ModelDigest));
        Length(record.CatalogDigest, LogFormat.HashBytes, nameof(record.CatalogDigest));
        Length(record.PolicyDigest, LogFormat.HashBytes, nameof(record.PolicyDigest));
        if (record.Kind == RecordKind.Decision && (Present(record) & ThereInDecisions) != ThereInDecisions)
        {
            ThrowMissing();
        }
    }

    private static void Range(bool good, string field, long value)
    {
        if (!good)
        {
            ThrowRange(field, value);
        }
    }

    private static void Length(ReadOnlySpan<byte> value, int size, string field)
    {
        if (value.Length != 0 && value.Length != size)
        {
            ThrowLength(field, value.Length, size);
        }
    }

    [DoesNotReturn]
    private static void ThrowRange(string field, long value) =>
        throw new ArgumentOutOfRangeException(field, value, $"{field} of a decision record is {value}.");

    [DoesNotReturn]
    private static void ThrowLength(string field, int length, int size) =>
        throw new ArgumentException($"{field} of a decision record has {length} bytes; it has {size}, or none.", field);

    [DoesNotReturn]
    private static void ThrowMissing() =>
        throw new ArgumentException("A decision names its stream, event id, commitment, catalog and policy.");

    [DoesNotReturn]
    private static void ThrowTooLarge(int length) =>
        throw new ArgumentException($"The record has {length} bytes; an entry holds at most {LogFormat.EntryBytesMax}.");
}
