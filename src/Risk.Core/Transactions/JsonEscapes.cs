using System.Buffers.Text;

namespace Risk.Core.Transactions;

/// <summary>What the JSON reader does not check before a string is decoded.</summary>
internal static class JsonEscapes
{
    /// <summary>Whether every <c>\uXXXX</c> is text: no NUL, no half of a surrogate pair. Malformed escapes are left to the reader.</summary>
    public static bool AreText(ReadOnlySpan<byte> json)
    {
        bool highBefore = false;
        while (true)
        {
            int at = json.IndexOf((byte)'\\');
            if (at < 0)
            {
                return !highBefore;
            }

            bool follows = at == 0;
            json = json[at..];
            int unit = Unit(json);
            bool low = unit is >= 0xDC00 and <= 0xDFFF;
            if (unit == 0 || low != (highBefore && follows) || (highBefore && !low))
            {
                return false;
            }

            highBefore = unit is >= 0xD800 and <= 0xDBFF;
            json = json[Math.Min(unit >= 0 ? 6 : 2, json.Length)..];
        }
    }

    /// <summary>Whether objects and arrays nest deeper than <paramref name="depthMax"/>, strings left out.</summary>
    public static bool DepthExceeds(ReadOnlySpan<byte> json, int depthMax)
    {
        int depth = 0;
        bool text = false;
        for (int at = 0; at < json.Length; at++)
        {
            byte character = json[at];
            if (text)
            {
                at += character == '\\' ? 1 : 0;
                text = character != '"';
                continue;
            }

            text = character == '"';
            depth += character is (byte)'{' or (byte)'[' ? 1 : character is (byte)'}' or (byte)']' ? -1 : 0;
            if (depth > depthMax)
            {
                return true;
            }
        }

        return false;
    }

    // The UTF-16 unit of an escape, −1 where it is another one or malformed.
    private static int Unit(ReadOnlySpan<byte> escape) =>
        escape.Length >= 6 && escape[1] == 'u' && Utf8Parser.TryParse(escape.Slice(2, 4), out ushort unit, out int used, 'x') && used == 4 ? unit : -1;
}
