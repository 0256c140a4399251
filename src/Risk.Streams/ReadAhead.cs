using Risk.Core;
using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>
/// Reads (and decompresses) a stream on a thread of its own, a few chunks ahead of its reader, and guards against
/// decompression bombs. One reader. What was read before a fault is handed over first.
/// </summary>
internal sealed class ReadAhead : IDisposable
{
    private const int ChunkSize = 256 * 1024;
    private const int ChunkCount = 4;

    private readonly Stream _stream;
    private readonly StoredBytes _stored;
    private readonly SemaphoreSlim _free = new(ChunkCount), _filled = new(0);
    private readonly byte[][] _chunks = new byte[ChunkCount][];
    private readonly int[] _sizes = new int[ChunkCount];
    private int _reading, _readingAt;
    private bool _ended;
    private volatile bool _stopped;

    /// <param name="stream">What is read; disposed by the reading thread.</param>
    /// <param name="stored">What <paramref name="stream"/> reads from: itself, or the compressed bytes.</param>
    public ReadAhead(Stream stream, StoredBytes stored)
    {
        _stream = stream;
        _stored = stored;
        new Thread(Run) { IsBackground = true, Name = "risk-read-ahead" }.Start();
    }

    /// <summary>Why the stream ended before its time; set when <see cref="Read"/> has given 0.</summary>
    public ErrorCode Fault { get; private set; }

    /// <summary>The outside world's words on <see cref="Fault"/>.</summary>
    public string FaultMessage { get; private set; } = "";

    /// <summary>No chunk is ready.</summary>
    public bool WouldWait => !_ended && _readingAt == 0 && _filled.CurrentCount == 0;

    /// <summary>Some of the next bytes, at least one; 0 at the end. Waits.</summary>
    public int Read(Span<byte> destination)
    {
        if (_ended)
        {
            return 0;
        }

        if (_readingAt == 0)
        {
            _filled.Wait();
        }

        int size = _sizes[_reading];
        if (size == 0)
        {
            _ended = true;
            return 0;
        }

        int count = Math.Min(size - _readingAt, destination.Length);
        _chunks[_reading].AsSpan(_readingAt, count).CopyTo(destination);
        _readingAt += count;
        if (_readingAt == size)
        {
            _readingAt = 0;
            _reading = (_reading + 1) % ChunkCount;
            _free.Release();
        }

        return count;
    }

    /// <summary>Tells the thread to stop; it may still be waiting for its stream.</summary>
    public void Dispose()
    {
        _stopped = true;
        _free.Release();
    }

    private void Run()
    {
        using Stream stream = _stream;
        long total = 0;
        for (int writing = 0; ; writing = (writing + 1) % ChunkCount)
        {
            _free.Wait();
            if (_stopped)
            {
                return;
            }

            byte[] chunk = _chunks[writing] ??= new byte[ChunkSize];
            int size = TryReadChunk(chunk);
            total += size;
            if (total > Limits.DecompressionFloorSize && total / Limits.DecompressionRatioMax > _stored.Position)
            {
                Fault = ErrorCode.TooLarge;
                size = 0;
            }

            _sizes[writing] = size;
            _filled.Release();
            if (size == 0)
            {
                return;
            }
        }
    }

    private int TryReadChunk(byte[] chunk)
    {
        try
        {
            return _stream.Read(chunk);
        }
        catch (InvalidDataException)
        {
            Fault = ErrorCode.ParseError;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            Fault = ErrorCode.SourceUnreadable;
            FaultMessage = exception.Message;
        }

        return 0;
    }
}
