using System.Globalization;

namespace Risk.Core.Log;

/// <summary>
/// Where the files of a log lie below its prefix, https://c2sp.org/tlog-tiles. Pure functions; slashes on every system.
/// </summary>
public static class TilePath
{
    public const string Checkpoint = "checkpoint";

    /// <summary>Path of a hash tile; <paramref name="width"/> below 256 makes it a partial one.</summary>
    public static string Hashes(int level, long index, int width = LogFormat.TileWidth) =>
        string.Create(CultureInfo.InvariantCulture, $"tile/{level}/{Number(index)}{Partial(width)}");

    /// <summary>Path of an entry bundle.</summary>
    public static string Entries(long index, int width = LogFormat.TileWidth) => $"tile/entries/{Number(index)}{Partial(width)}";

    /// <summary>Path of a bundle of private payloads, below the private store's own prefix; the scheme is that of the entries.</summary>
    public static string Payloads(long index, int width = LogFormat.TileWidth) => Number(index) + Partial(width);

    /// <summary>The folder that holds the partial tiles of this one, to be deleted once the full tile is there.</summary>
    public static string PartialsOf(string fullPath) => fullPath + ".p";

    /// <summary>1234067 becomes <c>x001/x234/067</c>.</summary>
    public static string Number(long index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        string last = (index % 1000).ToString("000", CultureInfo.InvariantCulture);
        for (long rest = index / 1000; rest > 0; rest /= 1000)
        {
            last = string.Create(CultureInfo.InvariantCulture, $"x{rest % 1000:000}/{last}");
        }

        return last;
    }

    /// <summary>Width of the partial tile at that level for a tree of that size; 0 when there is none.</summary>
    public static int PartialWidth(int level, long size) => (int)((size >> (LogFormat.TileHeight * level)) % LogFormat.TileWidth);

    private static string Partial(int width) => width switch
    {
        LogFormat.TileWidth => "",
        > 0 and < LogFormat.TileWidth => string.Create(CultureInfo.InvariantCulture, $".p/{width}"),
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, $"A tile is 1 to {LogFormat.TileWidth} wide, not {width}."),
    };
}
