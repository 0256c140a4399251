using System.Buffers.Binary;

namespace Risk.Core.Models;

/// <summary>The wire types of protocol buffers that ONNX uses. https://protobuf.dev/programming-guides/encoding/</summary>
internal enum ProtoWire
{
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// <summary>One field of a message: a scalar, or a view over the message's bytes.</summary>
internal readonly ref struct ProtoField(int number, ProtoWire wire, ulong scalar, ReadOnlySpan<byte> bytes)
{
    public int Number { get; } = number;

    public ProtoWire Wire { get; } = wire;

    /// <summary>The value of a varint or fixed field, zero-extended.</summary>
    public ulong Scalar { get; } = scalar;

    /// <summary>The content of a length-delimited field: a message, text, or packed values.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes;

    public bool IsBytes => Wire == ProtoWire.Bytes;
}

/// <summary>
/// Reads the fields of one protocol-buffers message in order, without a schema and without copying. It never throws:
/// a truncated or malformed message ends the walk with <see cref="IsMalformed"/>.
/// </summary>
internal ref struct ProtoReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    public bool IsMalformed { get; private set; }

    /// <summary>The next field; false at the end, and at the first byte that is no protobuf.</summary>
    public bool Next(out ProtoField field)
    {
        field = default;
        if (_rest.IsEmpty || IsMalformed)
        {
            return false;
        }

        if (!TryVarint(ref _rest, out var tag) || tag >> 3 is 0 or > 0x1FFF_FFFF)
        {
            return Fail();
        }

        var number = (int)(tag >> 3);
        var wire = (ProtoWire)(tag & 7);
        switch (wire)
        {
            case ProtoWire.Varint when TryVarint(ref _rest, out var value):
                field = new ProtoField(number, wire, value, default);
                return true;
            case ProtoWire.Fixed64 when _rest.Length >= 8:
                field = new ProtoField(number, wire, BinaryPrimitives.ReadUInt64LittleEndian(_rest), _rest[..8]);
                _rest = _rest[8..];
                return true;
            case ProtoWire.Fixed32 when _rest.Length >= 4:
                field = new ProtoField(number, wire, BinaryPrimitives.ReadUInt32LittleEndian(_rest), _rest[..4]);
                _rest = _rest[4..];
                return true;
            case ProtoWire.Bytes when TryVarint(ref _rest, out var length) && length <= (ulong)_rest.Length:
                field = new ProtoField(number, wire, 0, _rest[..(int)length]);
                _rest = _rest[(int)length..];
                return true;
            default:
                return Fail();
        }
    }

    /// <summary>Takes one base-128 varint of at most 10 bytes off the front.</summary>
    public static bool TryVarint(ref ReadOnlySpan<byte> rest, out ulong value)
    {
        value = 0;
        for (var i = 0; i < Math.Min(rest.Length, 10); i++)
        {
            value |= (ulong)(rest[i] & 0x7F) << (7 * i);
            if (rest[i] < 0x80)
            {
                rest = rest[(i + 1)..];
                return true;
            }
        }

        return false;
    }

    private bool Fail()
    {
        IsMalformed = true;
        return false;
    }
}
