using System.IO.Compression;

namespace Risk.Streams;

/// <summary>
/// Decompresses gzip (RFC 1952, any number of members) and notices a cut end. <see cref="GZipStream"/> takes a file that
/// stops in the middle of its data for a whole one (unless a switch of the process says otherwise, see
/// https://learn.microsoft.com/dotnet/core/compatibility/core-libraries/10.0/compression-strict-validation, and which
/// must be set before anybody uses it). So a member with a known text is put behind the stored bytes: only where
/// everything before it was whole does that text come out.
/// </summary>
/// <exception cref="InvalidDataException">Thrown by <see cref="Read(Span{byte})"/>: damaged, cut, or something else behind the last member. What came before was handed out.</exception>
internal sealed class GzipBytes(StoredBytes stored) : ReadOnlyStream
{
    private static readonly byte[] Seal = [.. Guid.Parse("0a9d3cf1-51e6-4ba4-9d0b-3f6f2c7b8e55").ToByteArray()];
    private static readonly byte[] SealMember = Compress(Seal);

    private readonly GZipStream _gzip = new(new SealedStream(stored), CompressionMode.Decompress);
    private readonly byte[] _behind = new byte[Seal.Length + 1];

    public override int Read(Span<byte> buffer)
    {
        int size = _gzip.Read(buffer);
        var source = (SealedStream)_gzip.BaseStream;
        if (size > 0 && !source.IsSealGiven)
        {
            return size;
        }

        // The stored bytes are at their end: all that may come now is the seal.
        int behind = Math.Min(size, _behind.Length);
        buffer[..behind].CopyTo(_behind);
        behind += _gzip.ReadAtLeast(_behind.AsSpan(behind), _behind.Length - behind, throwOnEndOfStream: false);
        return size <= _behind.Length && _behind.AsSpan(0, behind).SequenceEqual(Seal)
            ? 0
            : throw new InvalidDataException("the gzip data is cut off, or something else is behind it");
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _gzip.Dispose();
        }

        base.Dispose(disposing);
    }

    private static byte[] Compress(byte[] bytes)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return memory.ToArray();
    }

    // The stored bytes, then, in a read of its own, the sealing member.
    private sealed class SealedStream(StoredBytes stored) : ReadOnlyStream
    {
        private int _sealAt;

        public bool IsSealGiven { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            int size = IsSealGiven ? 0 : stored.Read(buffer);
            if (size > 0)
            {
                return size;
            }

            IsSealGiven = true;
            size = Math.Min(buffer.Length, SealMember.Length - _sealAt);
            SealMember.AsSpan(_sealAt, size).CopyTo(buffer);
            _sealAt += size;
            return size;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                stored.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
