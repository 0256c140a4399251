using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text.Unicode;

namespace Risk.Core.Log;

/// <summary>Why bytes are not a record; <see cref="None"/> when they are.</summary>
public enum RecordFault
{
    None = 0,

    /// <summary>The bytes end within an item.</summary>
    Truncated,

    /// <summary>Bytes follow the record.</summary>
    TrailingBytes,

    /// <summary>Valid CBOR, but not its one deterministic form: a longer integer or float than needed, keys out of order, an empty optional field.</summary>
    NotCanonical,

    WrongType,
    UnknownField,
    MissingField,

    /// <summary>A number, or the length of a fixed-size field, outside its range.</summary>
    ValueRange,

    NotUtf8,
    SchemaVersion,
}

/// <summary>CBOR's major types, RFC 8949 section 3.1.</summary>
internal enum CborMajor
{
    Unsigned = 0,
    Negative = 1,
    Bytes = 2,
    Text = 3,
    Array = 4,
    Map = 5,
    Simple = 7,
}

/// <summary>
/// Writes deterministic CBOR (https://www.rfc-editor.org/rfc/rfc8949#section-4.2.1): shortest heads, definite lengths,
/// the shortest float that keeps the value. Keys are the caller's business: write them in ascending order.
/// A buffer that is too small is a bug and throws.
/// </summary>
internal ref struct CborWriter(Span<byte> buffer)
{
    /// <summary>Most bytes of the head of an item (RFC 8949, section 3).</summary>
    public const int HeadBytesMax = 9;

    private readonly Span<byte> _buffer = buffer;
    private int _length;

    public readonly int Length => _length;

    public readonly ReadOnlySpan<byte> Written => _buffer[.._length];

    public void WriteMap(int pairs) => WriteHead(CborMajor.Map, (ulong)pairs);

    public void WriteArray(int items) => WriteHead(CborMajor.Array, (ulong)items);

    public void WriteUnsigned(ulong value) => WriteHead(CborMajor.Unsigned, value);

    public void WriteSigned(long value)
    {
        if (value >= 0)
        {
            WriteHead(CborMajor.Unsigned, (ulong)value);
        }
        else
        {
            WriteHead(CborMajor.Negative, (ulong)~value);
        }
    }

    public void WriteBytes(ReadOnlySpan<byte> value)
    {
        WriteHead(CborMajor.Bytes, (ulong)value.Length);
        WriteRaw(value);
    }

    /// <param name="utf8">Well-formed UTF-8; the reader refuses anything else.</param>
    public void WriteText(ReadOnlySpan<byte> utf8)
    {
        WriteHead(CborMajor.Text, (ulong)utf8.Length);
        WriteRaw(utf8);
    }

    public void WriteBool(bool value) => _buffer[_length++] = value ? (byte)0xF5 : (byte)0xF4;

    /// <param name="value">Finite.</param>
    public void WriteFloat(double value)
    {
        if (!double.IsFinite(value))
        {
            ThrowNotFinite(value);
        }

        float single = (float)value;
        if (single != value)
        {
            _buffer[_length] = 0xFB;
            BinaryPrimitives.WriteDoubleBigEndian(_buffer[(_length + 1)..], value);
            _length += 9;
            return;
        }

        Half half = (Half)single;
        if ((float)half != single)
        {
            _buffer[_length] = 0xFA;
            BinaryPrimitives.WriteSingleBigEndian(_buffer[(_length + 1)..], single);
            _length += 5;
            return;
        }

        _buffer[_length] = 0xF9;
        BinaryPrimitives.WriteHalfBigEndian(_buffer[(_length + 1)..], half);
        _length += 3;
    }

    /// <summary>Bytes that are encoded already.</summary>
    public void WriteRaw(ReadOnlySpan<byte> encoded)
    {
        encoded.CopyTo(_buffer[_length..]);
        _length += encoded.Length;
    }

    private void WriteHead(CborMajor major, ulong value)
    {
        Span<byte> to = _buffer[_length..];
        int type = (int)major << 5;
        if (value < 24)
        {
            to[0] = (byte)(type | (int)value);
            _length += 1;
        }
        else if (value <= byte.MaxValue)
        {
            to[1] = (byte)value;
            to[0] = (byte)(type | 24);
            _length += 2;
        }
        else if (value <= ushort.MaxValue)
        {
            BinaryPrimitives.WriteUInt16BigEndian(to[1..], (ushort)value);
            to[0] = (byte)(type | 25);
            _length += 3;
        }
        else if (value <= uint.MaxValue)
        {
            BinaryPrimitives.WriteUInt32BigEndian(to[1..], (uint)value);
            to[0] = (byte)(type | 26);
            _length += 5;
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(to[1..], value);
            to[0] = (byte)(type | 27);
            _length += 9;
        }
    }

    [DoesNotReturn]
    private static void ThrowNotFinite(double value) =>
        throw new ArgumentOutOfRangeException(nameof(value), value, $"A record holds finite numbers only; this one is {value}.");
}

/// <summary>
/// Reads deterministic CBOR and nothing else. Bad input is a value: the first fault sticks in <see cref="Fault"/>,
/// every later read returns a default, so a decoder checks once at its end.
/// </summary>
internal ref struct CborReader(ReadOnlySpan<byte> source)
{
    private readonly ReadOnlySpan<byte> _source = source;
    private int _position;

    public RecordFault Fault { get; private set; }

    public readonly int Position => _position;

    public readonly ReadOnlySpan<byte> Slice(int from, int to) => _source[from..to];

    public void Fail(RecordFault fault)
    {
        if (Fault == RecordFault.None)
        {
            Fault = fault;
        }

        _position = _source.Length;
    }

    /// <summary>Faults unless everything was read.</summary>
    public void ReadEnd()
    {
        if (_position != _source.Length)
        {
            Fail(RecordFault.TrailingBytes);
        }
    }

    public int ReadMap() => ReadCount(CborMajor.Map);

    public int ReadArray() => ReadCount(CborMajor.Array);

    public ulong ReadUnsigned(ulong max)
    {
        ulong value = ReadHead(CborMajor.Unsigned);
        if (value > max)
        {
            Fail(RecordFault.ValueRange);
            return 0;
        }

        return value;
    }

    public long ReadSigned()
    {
        if (_position < _source.Length && _source[_position] >> 5 == (int)CborMajor.Negative)
        {
            ulong below = ReadHead(CborMajor.Negative);
            return below <= long.MaxValue ? ~(long)below : FailRange();
        }

        ulong value = ReadHead(CborMajor.Unsigned);
        return value <= long.MaxValue ? (long)value : FailRange();
    }

    public ReadOnlySpan<byte> ReadBytes() => Take(ReadHead(CborMajor.Bytes));

    public ReadOnlySpan<byte> ReadText()
    {
        ReadOnlySpan<byte> text = Take(ReadHead(CborMajor.Text));
        if (!Utf8.IsValid(text))
        {
            Fail(RecordFault.NotUtf8);
            return default;
        }

        return text;
    }

    /// <summary>A byte string of that size.</summary>
    public ReadOnlySpan<byte> ReadBytes(int size)
    {
        ReadOnlySpan<byte> bytes = ReadBytes();
        if (bytes.Length != size)
        {
            Fail(RecordFault.ValueRange);
        }

        return bytes;
    }

    /// <summary>A text where an empty one would have been left out.</summary>
    public ReadOnlySpan<byte> ReadTextNotEmpty()
    {
        ReadOnlySpan<byte> text = ReadText();
        if (text.IsEmpty)
        {
            Fail(RecordFault.NotCanonical);
        }

        return text;
    }

    public bool ReadBool()
    {
        int initial = Take(1) is [var first] ? first : 0;
        if (Fault == RecordFault.None && initial is not (0xF4 or 0xF5))
        {
            Fail(RecordFault.WrongType);
        }

        return initial == 0xF5;
    }

    public double ReadFloat()
    {
        if (Take(1) is not [var initial])
        {
            return 0;
        }

        switch (initial)
        {
            case 0xF9:
                double half = Take(2) is { Length: 2 } two ? (double)BinaryPrimitives.ReadHalfBigEndian(two) : 0;
                return Finite(half);
            case 0xFA:
                float single = Take(4) is { Length: 4 } four ? BinaryPrimitives.ReadSingleBigEndian(four) : 0;
                return Fault == RecordFault.None && (float)(Half)single == single ? FailCanonical() : Finite(single);
            case 0xFB:
                double value = Take(8) is { Length: 8 } eight ? BinaryPrimitives.ReadDoubleBigEndian(eight) : 0;
                return Fault == RecordFault.None && (float)value == value ? FailCanonical() : Finite(value);
            default:
                Fail(RecordFault.WrongType);
                return 0;
        }
    }

    public float ReadFloat32()
    {
        double value = ReadFloat();
        if ((float)value != value)
        {
            Fail(RecordFault.ValueRange);
        }

        return (float)value;
    }

    private int ReadCount(CborMajor major)
    {
        ulong count = ReadHead(major);
        if (count > (ulong)_source.Length)
        {
            Fail(RecordFault.Truncated);
            return 0;
        }

        return (int)count;
    }

    private ulong ReadHead(CborMajor expected)
    {
        if (Take(1) is not [var initial])
        {
            return 0;
        }

        if (initial >> 5 != (int)expected)
        {
            Fail(RecordFault.WrongType);
            return 0;
        }

        int more = initial & 31;
        if (more < 24)
        {
            return (ulong)more;
        }

        if (more > 27)
        {
            Fail(RecordFault.NotCanonical);
            return 0;
        }

        int bytes = 1 << (more - 24);
        ReadOnlySpan<byte> rest = Take((ulong)bytes);
        if (rest.Length != bytes)
        {
            return 0;
        }

        (ulong value, ulong least) = bytes switch
        {
            1 => (rest[0], 24ul),
            2 => (BinaryPrimitives.ReadUInt16BigEndian(rest), byte.MaxValue + 1ul),
            4 => (BinaryPrimitives.ReadUInt32BigEndian(rest), ushort.MaxValue + 1ul),
            _ => (BinaryPrimitives.ReadUInt64BigEndian(rest), uint.MaxValue + 1ul),
        };
        if (value < least)
        {
            Fail(RecordFault.NotCanonical);
            return 0;
        }

        return value;
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)(_source.Length - _position))
        {
            Fail(RecordFault.Truncated);
            return default;
        }

        ReadOnlySpan<byte> taken = _source.Slice(_position, (int)count);
        _position += (int)count;
        return taken;
    }

    private double Finite(double value)
    {
        if (!double.IsFinite(value))
        {
            Fail(RecordFault.ValueRange);
            return 0;
        }

        return value;
    }

    private double FailCanonical()
    {
        Fail(RecordFault.NotCanonical);
        return 0;
    }

    private long FailRange()
    {
        Fail(RecordFault.ValueRange);
        return 0;
    }
}
