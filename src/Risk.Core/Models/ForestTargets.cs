namespace Risk.Core.Models;

/// <summary>What turns the margins of a row into its outputs.</summary>
public enum TargetLink
{
    /// <summary>The margins are the output.</summary>
    None = 0,

    /// <summary>The logistic function of each margin by itself.</summary>
    Logistic = 1,

    /// <summary>Shares of one over all targets.</summary>
    Softmax = 2,
}

/// <summary>The forests of several targets or classes over the same rows; the link is applied to their margins together.</summary>
/// <param name="Forests">One a target, each without a link of its own and with the same count of features.</param>
public sealed record ForestTargets(IReadOnlyList<Forest> Forests, TargetLink Link);
