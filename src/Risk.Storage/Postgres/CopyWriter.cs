using System.Buffers.Binary;

namespace Risk.Storage.Postgres;

/// <summary>Writes fields in the binary format of COPY: int32 length, big-endian value; the caller has made room.</summary>
internal ref struct CopyWriter(Span<byte> to)
{
    private readonly Span<byte> _to = to;

    /// <summary>Bytes written so far.</summary>
    public int Written { get; private set; }

    public void Int16(short value)
    {
        BinaryPrimitives.WriteInt16BigEndian(_to[Written..], value);
        Written += sizeof(short);
    }

    public void Length(int bytes)
    {
        BinaryPrimitives.WriteInt32BigEndian(_to[Written..], bytes);
        Written += sizeof(int);
    }

    public void Null() => Length(-1);

    public void UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(_to[Written..], value);
        Written += sizeof(ulong);
    }

    public void Int32Field(int value)
    {
        Length(sizeof(int));
        Length(value);
    }

    public void Int64Field(long value)
    {
        Length(sizeof(long));
        UInt64((ulong)value);
    }

    public void BytesField(ReadOnlySpan<byte> value)
    {
        Length(value.Length);
        value.CopyTo(_to[Written..]);
        Written += value.Length;
    }
}
