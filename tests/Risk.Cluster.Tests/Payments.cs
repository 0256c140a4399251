using System.Globalization;
using System.Text;
using Risk.Core.Transactions;

namespace Risk.Cluster.Tests;

/// <summary>Card payments by number: the same number is the same payment.</summary>
internal static class Payments
{
    public static string Id(long number) => string.Create(CultureInfo.InvariantCulture, $"t{number}");

    public static string Customer(long number, int customers = 40) => string.Create(CultureInfo.InvariantCulture, $"c{number % customers}");

    /// <param name="amount">Null: what belongs to the number.</param>
    public static byte[] Json(long number, int customers = 40, int? amount = null) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $$"""{"transaction_id":"{{Id(number)}}","time":"{{Micro.ToIso8601(1_522_540_800 * Micro.Second + number * Micro.Second / 10)}}","customer_id":"{{Customer(number, customers)}}","terminal_id":"{{number % 7}}","amount":{{amount ?? 10 + number % 90}}}"""));
}
