namespace Risk.Core.Decisions;

/// <summary>
/// What is done with a transaction. Between rules and thresholds the graver wins: decline, then review, then approve.
/// <see cref="Refer"/> stands outside of that order: nothing could be said, a person must look. It is the zero value,
/// so a decision that nobody filled in never reads as an approval.
/// </summary>
public enum Outcome : byte
{
    Refer = 0,
    Approve = 1,
    Review = 2,
    Decline = 3,
}

/// <summary>
/// Which part of the engine an outcome, or one reason, comes from. An outcome may have two: score and rule, when each
/// alone would have led to it. None: there was no score and no rule to go by.
/// </summary>
[Flags]
public enum OutcomeSource : byte
{
    None = 0,
    Score = 1,
    Rule = 2,
    Human = 4,
}

public static class OutcomeNames
{
    public const int Count = 4;

    /// <summary>The stable word in records, files and reports: refer, approve, review, decline.</summary>
    public static string Name(this Outcome outcome) => outcome switch
    {
        Outcome.Approve => "approve",
        Outcome.Review => "review",
        Outcome.Decline => "decline",
        _ => "refer",
    };

    /// <summary>The stable word in records: none, score, rule, human, or score+rule.</summary>
    public static string Name(this OutcomeSource source) => source switch
    {
        OutcomeSource.Score => "score",
        OutcomeSource.Rule => "rule",
        OutcomeSource.Score | OutcomeSource.Rule => "score+rule",
        OutcomeSource.Human => "human",
        _ => "none",
    };
}
