using System.Buffers.Binary;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>Reads the files of a log.</summary>
internal static class BundleFile
{
    /// <summary>Reads a whole file into a buffer that grows; -1 when there is no such file.</summary>
    public static int Read(string path, ref byte[] buffer)
    {
        if (!File.Exists(path))
        {
            return -1;
        }

        using SafeFileHandle file = File.OpenHandle(path);
        int length = checked((int)RandomAccess.GetLength(file));
        if (buffer.Length < length)
        {
            buffer = new byte[Math.Max(length, buffer.Length * 2)];
        }

        int at = 0;
        while (at < length)
        {
            int read = RandomAccess.Read(file, buffer.AsSpan(at, length - at), at);
            if (read == 0)
            {
                break;
            }

            at += read;
        }

        return at;
    }

    /// <summary>
    /// Reads the partial file of that width, or the full one, which MAY have replaced it, or else the widest partial one (a log
    /// is looked at as of an older checkpoint, and only the newest partial files were kept); -1 when there is none. What
    /// it reads may be more than was asked for.
    /// </summary>
    /// <param name="path">Path of a width.</param>
    /// <param name="width">1 to 256.</param>
    /// <param name="buffer">Grows as needed.</param>
    public static int ReadWidth(Func<int, string> path, int width, ref byte[] buffer)
    {
        int length = Read(path(width), ref buffer);
        if (length >= 0 || width == LogFormat.TileWidth)
        {
            return length;
        }

        length = Read(path(LogFormat.TileWidth), ref buffer);
        return length < 0 && Widest(Path.GetDirectoryName(path(width))!) is var widest && widest > width ? Read(path(widest), ref buffer) : length;
    }

    private static int Widest(string partials)
    {
        int widest = 0;
        if (Directory.Exists(partials))
        {
            foreach (string file in Directory.EnumerateFiles(partials))
            {
                if (int.TryParse(Path.GetFileName(file), NumberStyles.None, CultureInfo.InvariantCulture, out int width) && width < LogFormat.TileWidth)
                {
                    widest = Math.Max(widest, width);
                }
            }
        }

        return widest;
    }

    /// <summary>Reads a full hash tile.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_CORRUPT</c>: it is missing or has another length.</exception>
    public static void ReadTile(string path, byte[] to)
    {
        byte[] buffer = to;
        int length = Read(path, ref buffer);
        if (length != to.Length)
        {
            throw new DecisionLogException(LogCodes.Corrupt, length < 0 ? $"{path} is missing." : $"{path} has {length} bytes, not {to.Length}.");
        }
    }

    /// <summary>The next length-prefixed item of a bundle; false when the bundle ends within it.</summary>
    public static bool TryNext(ref ReadOnlySpan<byte> bundle, out ReadOnlySpan<byte> item)
    {
        item = default;
        if (bundle.Length < LogFormat.LengthPrefixBytes)
        {
            return false;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(bundle);
        if (bundle.Length - LogFormat.LengthPrefixBytes < length)
        {
            return false;
        }

        item = bundle.Slice(LogFormat.LengthPrefixBytes, length);
        bundle = bundle[(LogFormat.LengthPrefixBytes + length)..];
        return true;
    }

    /// <summary>The n-th item of a bundle; false when there are fewer.</summary>
    public static bool TryItem(ReadOnlySpan<byte> bundle, int index, out ReadOnlySpan<byte> item)
    {
        item = default;
        int start = 0;
        for (int i = 0; i <= index; i++)
        {
            if (bundle.Length - start < LogFormat.LengthPrefixBytes)
            {
                return false;
            }

            int length = BinaryPrimitives.ReadUInt16BigEndian(bundle[start..]);
            start += LogFormat.LengthPrefixBytes;
            if (bundle.Length - start < length)
            {
                return false;
            }

            item = bundle.Slice(start, length);
            start += length;
        }

        return true;
    }
}
