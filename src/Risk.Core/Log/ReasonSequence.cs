namespace Risk.Core.Log;

/// <summary>Which component gave a reason (12 CFR 1002.9, comments 7 and 8).</summary>
public enum ReasonSource
{
    Score = 0,
    Rule = 1,
    Human = 2,
}

/// <summary>One reason: a stable code (UTF-8), where it came from, and its share of the raw margin.</summary>
public readonly ref struct RecordedReason(ReadOnlySpan<byte> code, ReasonSource source, float contribution)
{
    public ReadOnlySpan<byte> Code { get; } = code;
    public ReasonSource Source { get; } = source;
    public float Contribution { get; } = contribution;
}

/// <summary>
/// The reasons of a record in their encoded form, one view for writing and reading: built by <see cref="ReasonBuilder"/>,
/// or cut out of an entry that was read. Use it in a <c>foreach</c>.
/// </summary>
public readonly ref struct ReasonSequence
{
    internal ReasonSequence(ReadOnlySpan<byte> encoded, int count)
    {
        Encoded = encoded;
        Count = count;
    }

    public int Count { get; }

    internal ReadOnlySpan<byte> Encoded { get; }

    public Enumerator GetEnumerator() => new(Encoded, Count);

    public ref struct Enumerator
    {
        private CborReader _reader;
        private int _left;

        internal Enumerator(ReadOnlySpan<byte> encoded, int count)
        {
            _reader = new CborReader(encoded);
            _left = count;
            Current = default;
        }

        public RecordedReason Current { get; private set; }

        public bool MoveNext()
        {
            if (_left == 0)
            {
                return false;
            }

            _left--;
            Current = ReadOne(ref _reader);
            return true;
        }

        /// <summary>One reason; the reader carries the fault when it is none.</summary>
        internal static RecordedReason ReadOne(scoped ref CborReader reader)
        {
            if (reader.ReadArray() != 3)
            {
                reader.Fail(RecordFault.WrongType);
            }

            ReadOnlySpan<byte> code = reader.ReadText();
            ulong source = reader.ReadUnsigned((ulong)ReasonSource.Human);
            return new RecordedReason(code, (ReasonSource)source, reader.ReadFloat32());
        }
    }
}

/// <summary>Encodes reasons into a buffer the caller owns; <see cref="BytesMax"/> tells how large it must be.</summary>
public ref struct ReasonBuilder
{
    private CborWriter _writer;
    private int _count;

    public ReasonBuilder(Span<byte> buffer)
    {
        _writer = new CborWriter(buffer);
        _count = 0;
    }

    /// <summary>Bytes that one reason with a code of that many bytes can take.</summary>
    public static int BytesMax(int codeBytes) => 1 + CborWriter.HeadBytesMax + codeBytes + 1 + 5;

    public void Add(ReadOnlySpan<byte> code, ReasonSource source, float contribution)
    {
        _writer.WriteArray(3);
        _writer.WriteText(code);
        _writer.WriteUnsigned((ulong)source);
        _writer.WriteFloat(contribution);
        _count++;
    }

    /// <summary>A view of the buffer; valid until the buffer is written again.</summary>
    public readonly ReasonSequence Build() => new(_writer.Written, _count);
}
