using System.Buffers;

namespace Risk.Core.Transactions;

/// <summary>
/// Card numbers (PAN, ISO/IEC 7812-1): read where a field is declared to hold one, found where none may be. A number is
/// found when 13 to 19 digits, alone or in groups with spaces or dashes, begin with 2 to 6 and pass the Luhn test.
/// </summary>
internal static class CardNumber
{
    private const int SeparatorRunMax = 2;

    private static readonly SearchValues<byte> DigitsAndSeparators = SearchValues.Create("0123456789 -"u8);

    /// <summary>The digits of a declared card number into <paramref name="digits"/> (room for <see cref="Limits.CardDigitsMax"/>); 0 when it is none.</summary>
    public static int ReadDigits(ReadOnlySpan<byte> text, bool separators, Span<byte> digits)
    {
        int count = 0;
        for (int at = 0; at < text.Length; at++)
        {
            if (IsDigit(text[at]))
            {
                if (count == Limits.CardDigitsMax)
                {
                    return 0;
                }

                digits[count++] = text[at];
            }
            else if (!separators || !IsSeparator(text[at]) || at == 0 || at == text.Length - 1 || !IsDigit(text[at - 1]))
            {
                return 0;
            }
        }

        return count >= Limits.CardDigitsMin && PassesLuhn(digits[..count]) ? count : 0;
    }

    /// <summary>
    /// Whether an id is or holds a card number: the whole of it, or a run of digits with no letter at either end (so that
    /// a UUID or a hexadecimal digest is never taken for one).
    /// </summary>
    public static bool IsInId(ReadOnlySpan<byte> text) =>
        text.Length >= Limits.CardDigitsSearchedMin && IsIn(text, grouped: text.IndexOfAnyExcept(DigitsAndSeparators) < 0, besideLetters: false);

    /// <summary>Whether a free text holds a card number anywhere. About one in 1,000 hexadecimal digests is taken for one.</summary>
    public static bool IsInText(ReadOnlySpan<byte> text) =>
        text.Length >= Limits.CardDigitsSearchedMin && IsIn(text, grouped: true, besideLetters: true);

    private static bool IsIn(ReadOnlySpan<byte> text, bool grouped, bool besideLetters)
    {
        for (int start = 0; start <= text.Length - Limits.CardDigitsSearchedMin; start++)
        {
            if (text[start] is >= (byte)'2' and <= (byte)'6' && (start == 0 || !IsDigit(text[start - 1])) && StartsCard(text, start, grouped, besideLetters))
            {
                return true;
            }
        }

        return false;
    }

    // Every end of a group of digits could be the number's end.
    private static bool StartsCard(ReadOnlySpan<byte> text, int start, bool grouped, bool besideLetters)
    {
        bool letterBefore = start > 0 && char.IsAsciiLetter((char)text[start - 1]);
        Span<byte> digits = stackalloc byte[Limits.CardDigitsMax];
        int count = 0, separatorRun = 0;
        bool isGrouped = false;
        for (int at = start; at < text.Length; at++)
        {
            if (!IsDigit(text[at]))
            {
                if (!grouped || !IsSeparator(text[at]) || ++separatorRun > SeparatorRunMax)
                {
                    return false;
                }

                isGrouped = true;
                continue;
            }

            if (count == Limits.CardDigitsMax)
            {
                return false;
            }

            separatorRun = 0;
            digits[count++] = text[at];
            bool ends = at + 1 == text.Length || !IsDigit(text[at + 1]);
            if (ends && count >= Limits.CardDigitsSearchedMin && PassesLuhn(digits[..count]))
            {
                bool letterBeside = letterBefore || (at + 1 < text.Length && char.IsAsciiLetter((char)text[at + 1]));
                if (!letterBeside || (besideLetters && !isGrouped))
                {
                    return true;
                }
            }
        }

        return false;
    }

    // ISO/IEC 7812-1, annex B: every second digit from the right doubled, the sum of all digits divisible by ten.
    private static bool PassesLuhn(ReadOnlySpan<byte> digits)
    {
        int sum = 0;
        for (int index = 0; index < digits.Length; index++)
        {
            int digit = digits[digits.Length - 1 - index] - '0';
            int weighted = (index & 1) == 0 ? digit : digit * 2;
            sum += weighted > 9 ? weighted - 9 : weighted;
        }

        return sum % 10 == 0;
    }

    private static bool IsDigit(byte character) => (uint)(character - '0') <= 9;
    private static bool IsSeparator(byte character) => character is (byte)' ' or (byte)'-';
}
