namespace Risk.Streams;

/// <summary>A stream as it is stored, from its beginning, which was already looked at, counting what has been read.</summary>
internal sealed class StoredBytes(ReadOnlyMemory<byte> beginning, Stream rest) : ReadOnlyStream
{
    private long _position;

    /// <summary>Bytes read so far; may be asked from any thread.</summary>
    public override long Position
    {
        get => Volatile.Read(ref _position);
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        int size;
        if (_position < beginning.Length)
        {
            ReadOnlySpan<byte> left = beginning.Span[(int)_position..];
            size = Math.Min(left.Length, buffer.Length);
            left[..size].CopyTo(buffer);
        }
        else
        {
            size = rest.Read(buffer);
        }

        Volatile.Write(ref _position, _position + size);
        return size;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rest.Dispose();
        }

        base.Dispose(disposing);
    }
}
