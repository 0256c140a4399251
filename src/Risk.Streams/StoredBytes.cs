namespace Risk.Streams;

/// <summary>A stream as it is stored, from its beginning, which was already looked at, counting what has been read.</summary>
internal sealed class StoredBytes(ReadOnlyMemory<byte> beginning, Stream rest) : Stream
{
    private long _position;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

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

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rest.Dispose();
        }

        base.Dispose(disposing);
    }
}
