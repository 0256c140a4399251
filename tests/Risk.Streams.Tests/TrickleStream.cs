namespace Risk.Streams.Tests;

/// <summary>A standard input: cannot seek, comes in pieces, may wait before its end or fail there.</summary>
internal sealed class TrickleStream(byte[] content, int step = 1000, bool failAtEnd = false, SemaphoreSlim? gate = null) : Stream
{
    private int _at;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(Span<byte> buffer)
    {
        int size = Math.Min(Math.Min(step, buffer.Length), content.Length - _at);
        if (size == 0)
        {
            gate?.Wait();
            return failAtEnd ? throw new IOException("the pipe broke") : 0;
        }

        content.AsSpan(_at, size).CopyTo(buffer);
        _at += size;
        return size;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
