using System.Buffers;
using System.Runtime.InteropServices;

namespace Risk.Core.Features;

/// <summary>State snapshots are rows of little-endian 8-byte words.</summary>
internal static class SnapshotWords
{
    private const int PieceWords = 8192;

    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<long> words)
    {
        while (words.Length > 0)
        {
            ReadOnlySpan<long> piece = words[..Math.Min(PieceWords, words.Length)];
            output.Write(MemoryMarshal.AsBytes(piece));
            words = words[piece.Length..];
        }
    }

    public ref struct Reader(ReadOnlySpan<byte> snapshot)
    {
        private ReadOnlySpan<long> _words = MemoryMarshal.Cast<byte, long>(snapshot);

        public long Next()
        {
            long word = _words[0];
            _words = _words[1..];
            return word;
        }

        public readonly ReadOnlySpan<long> Rest => _words;

        public ReadOnlySpan<long> Next(int count)
        {
            ReadOnlySpan<long> words = _words[..count];
            _words = _words[count..];
            return words;
        }
    }
}
