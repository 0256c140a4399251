using System.Buffers;
using System.Globalization;
using System.Text;

namespace Risk.Core.Transactions;

/// <summary>
/// Which texts may name something. Two names that look alike must be one name or none, so nothing is normalised and what
/// could be normalised is refused. By default: printable ASCII. Where the schema says <c>unicode</c>: letters and digits
/// of one script beside ASCII punctuation, without combining marks, invisible characters or compatibility forms (so the
/// text is its own NFC and NFKC form), and no Latin, Greek and Cyrillic letters side by side (UTS 39, "single script").
/// Source: https://www.unicode.org/reports/tr39/.
/// </summary>
internal static class Identifier
{
    private enum Script : byte { None, Latin, Greek, Cyrillic, Other }

    /// <summary>Whether the text may be an id or a key; the text is valid UTF-8.</summary>
    public static bool IsValid(ReadOnlySpan<byte> text, int sizeMax, bool unicode)
    {
        if (text.Length == 0 || text.Length > sizeMax || text[0] == ' ' || text[^1] == ' ')
        {
            return false;
        }

        return text.IndexOfAnyExceptInRange((byte)' ', (byte)'~') < 0 || (unicode && IsPlainUnicode(text));
    }

    private static bool IsPlainUnicode(ReadOnlySpan<byte> text)
    {
        Script script = Script.None;
        while (text.Length > 0)
        {
            if (Rune.DecodeFromUtf8(text, out Rune rune, out int size) != OperationStatus.Done || !IsPlain(rune))
            {
                return false;
            }

            text = text[size..];
            Script own = ScriptOf(rune);
            if (own != Script.None && script != Script.None && own != script)
            {
                return false;
            }

            script = own == Script.None ? script : own;
        }

        return true;
    }

    private static bool IsPlain(Rune rune)
    {
        if (rune.IsAscii)
        {
            return rune.Value is >= ' ' and <= '~';
        }

        // Letterlike symbols, Hangul jamo, CJK compatibility, presentation forms, half and full widths: each has another spelling.
        if (rune.Value is (>= 0x1100 and <= 0x11FF) or (>= 0x1F00 and <= 0x1FFF) or (>= 0x2000 and <= 0x2BFF) or (>= 0x3130 and <= 0x318F) or (>= 0x3200 and <= 0x33FF)
            or (>= 0xA960 and <= 0xA97F) or (>= 0xD7B0 and <= 0xD7FF) or (>= 0xF900 and <= 0xFFFF) or (>= 0x1D400 and <= 0x1D7FF) or (>= 0x2F800 and <= 0x2FA1F))
        {
            return false;
        }

        return Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.OtherLetter or UnicodeCategory.DecimalDigitNumber;
    }

    // Latin is told apart from the two scripts that hold its look-alikes; among the others a mix is refused with Latin only.
    private static Script ScriptOf(Rune rune) => rune.Value switch
    {
        < 0x80 => Rune.IsLetter(rune) ? Script.Latin : Script.None,
        <= 0x24F => Script.Latin,
        >= 0x370 and <= 0x3FF => Script.Greek,
        >= 0x400 and <= 0x52F => Script.Cyrillic,
        >= 0x1E00 and <= 0x1EFF => Script.Latin,
        _ => Script.Other,
    };
}
