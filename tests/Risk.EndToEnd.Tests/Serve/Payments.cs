using System.Globalization;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Card payments for tests, by number: the same number is the same payment.</summary>
internal static class Payments
{
    public static readonly DateTime Start = new(2026, 11, 1, 0, 0, 0, DateTimeKind.Utc);

    /// <summary>A valid card number that may appear nowhere.</summary>
    public const string CardNumber = "4111111111111111";

    public static string Id(long number) => string.Create(CultureInfo.InvariantCulture, $"p{number}");

    public static string Customer(long number, int customers = 500) => string.Create(CultureInfo.InvariantCulture, $"c{number * 7919 % customers}");

    /// <param name="amount">Null: what belongs to the number.</param>
    public static string Json(long number, int customers = 500, double? amount = null) => string.Create(CultureInfo.InvariantCulture,
        $$"""{"transaction_id":"{{Id(number)}}","time":"{{Start.AddMilliseconds(number * 20):yyyy-MM-ddTHH:mm:ss.fffZ}}","customer_id":"{{Customer(number, customers)}}","terminal_id":"t{{number % 200}}","amount":{{amount ?? 1 + number * 31 % 90}}}""");
}
