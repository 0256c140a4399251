using System.Globalization;
using System.Text;
using Risk.Core.Log;
using Risk.Service.Costs;

namespace Risk.Cli.Costs;

/// <summary>A record's cost in words: which currency, and what of it was measured. The record itself holds two numbers and one word.</summary>
internal static class CostWords
{
    /// <summary>Where nothing beside the log says which.</summary>
    public const string UnknownCurrency = "of the price book's currency (no costs.jsonl here says which)";

    /// <summary>What the runs that wrote a directory were charged in; null where nothing says so.</summary>
    public static string? Currency(IEnumerable<MeteredRun> runs) => string.Join(" or ", runs.Where(run => run.IsPriced).Select(run => run.Currency).Distinct()) is { Length: > 0 } currency ? currency : null;

    /// <summary>What stands behind a record's method.</summary>
    public static string Method(string word) => word switch
    {
        "measured" => "time measured; money by the price book, joules by its stated watts",
        "measured, energy by counter" => "time measured; money by the price book, joules of accelerators by their counters where they have one, all others by the book's stated watts",
        "modelled" => "nothing measured: the price book's constant time a decision, its prices and its stated watts",
        _ => word,
    };

    /// <summary>A record's cost, with its currency and method.</summary>
    /// <param name="directory">Where its log lies; a partition's runs are told of one folder above.</param>
    public static string Of(in DecisionRecord record, string directory)
    {
        string word = Encoding.UTF8.GetString(record.CostMethod);
        return record.IsUnpriced ? $"{word}: there were no prices that could be used when it was made"
            : word.Length == 0 && record.CostMoney == 0 && record.CostJoules == 0 ? "none recorded"
            : string.Create(CultureInfo.InvariantCulture, $"{record.CostMoney:0.###e+0} {Currency(CostsFile.Read(directory)) ?? Currency(CostsFile.Read(Path.Combine(directory, ".."))) ?? UnknownCurrency}, {record.CostJoules:0.###e+0} J ({Method(word)})");
    }
}
