namespace Risk.Core.Transactions;

/// <summary>The currency codes in use, ISO 4217:2015 list one as of 2025. Source: https://www.six-group.com/en/products-services/financial-information/data-standards.html.</summary>
internal static class CurrencyCode
{
    // Funds codes, precious metals, testing (XTS) and "no currency" (XXX) are left out: nobody pays in them.
    private const string Codes =
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK " +
        "DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR " +
        "KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB " +
        "PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD " +
        "TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

    private static readonly bool[] Known = Mark();

    /// <summary>Three capitals that are on the list.</summary>
    public static bool IsKnown(ReadOnlySpan<byte> code) =>
        code.Length == 3 && IsCapital(code[0]) && IsCapital(code[1]) && IsCapital(code[2]) && Known[Place(code[0], code[1], code[2])];

    private static bool IsCapital(byte letter) => letter is >= (byte)'A' and <= (byte)'Z';

    private static int Place(int first, int second, int third) => (((first - 'A') * 26) + second - 'A') * 26 + third - 'A';

    private static bool[] Mark()
    {
        var known = new bool[26 * 26 * 26];
        foreach (string code in Codes.Split(' '))
        {
            known[Place(code[0], code[1], code[2])] = true;
        }

        return known;
    }
}
