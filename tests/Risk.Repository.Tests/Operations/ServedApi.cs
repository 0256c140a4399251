using System.Text.RegularExpressions;

namespace Risk.Repository.Tests.Operations;

/// <summary>What the sources say the engine answers and counts.</summary>
internal static partial class ServedApi
{
    /// <summary>Paths of the HTTP API.</summary>
    public static IReadOnlySet<string> Routes { get; } = Matches(Route());

    /// <summary>Names of the metrics.</summary>
    public static IReadOnlySet<string> Metrics { get; } = Matches(Metric());

    /// <summary>The stable codes of sources, logs, ownership and brokers: what a serving process can report.</summary>
    public static IReadOnlySet<string> Faults { get; } = FindFaults();

    private static HashSet<string> Matches(Regex pattern) =>
        [.. Checkout.TrackedFiles.Where(path => path.StartsWith("src/", StringComparison.Ordinal) && path.EndsWith(".cs", StringComparison.Ordinal))
            .SelectMany(path => pattern.Matches(File.ReadAllText(Checkout.FullPath(path)))).Select(match => match.Groups["name"].Value)];

    private static HashSet<string> FindFaults()
    {
        string log = File.ReadAllText(Checkout.FullPath("src/Risk.Core/Log/IDecisionLog.cs"));
        string codes = File.ReadAllText(Checkout.FullPath("src/Risk.Core/Transactions/ErrorCode.cs"));
        return [.. LogCode().Matches(log[log.IndexOf("class LogCodes", StringComparison.Ordinal)..]).Concat(KafkaCode().Matches(codes)).Select(match => match.Groups["name"].Value)];
    }

    [GeneratedRegex("""\.Map(Get|Post|Put|Delete)\("(?<name>/[^"]*)""")]
    private static partial Regex Route();

    [GeneratedRegex("\"(?<name>risk_[a-z_]+)\"")]
    private static partial Regex Metric();

    [GeneratedRegex("""const string \w+ = "(?<name>[A-Z_]+)";""")]
    private static partial Regex LogCode();

    [GeneratedRegex("\"(?<name>(KAFKA|SOURCE|OFFSET|LABEL)_[A-Z_]+)\"")]
    private static partial Regex KafkaCode();
}
