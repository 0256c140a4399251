using Risk.Core.Transactions;

namespace Risk.Storage;

/// <summary>Labels as stores keep them: appended, never changed.</summary>
internal static class LabelSequence
{
    /// <summary>
    /// Leaves out a label that says of its event what the one before it said. One that takes something back stays, so the last
    /// of an event is always what is known of it.
    /// </summary>
    public static IReadOnlyList<Label> WithoutRepeats(IEnumerable<Label> labels)
    {
        var kept = new List<Label>();
        var last = new Dictionary<EntityKey, Label>();
        foreach (Label label in labels)
        {
            if (!last.TryGetValue(label.EventKey, out Label before) || before != label)
            {
                last[label.EventKey] = label;
                kept.Add(label);
            }
        }

        return kept;
    }
}
