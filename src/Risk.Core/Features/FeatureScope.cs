using System.Runtime.CompilerServices;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// The entities whose history an engine keeps, where a stream is cut into partitions by its subject (the card). Entities
/// of the subject live with it. The others (the terminal) meet transactions of every partition, so each has an owner of
/// its own, found by its key, which sees all of them.
/// </summary>
public sealed record FeatureScope
{
    private FeatureScope() { }

    /// <summary>Every entity: a stream in one piece.</summary>
    public static FeatureScope All { get; } = new() { Subjects = true, Others = true };

    /// <summary>The entities of the subject; the columns of the others are put into the view by someone else before <see cref="FeatureEngine.Build"/>.</summary>
    public static FeatureScope Own { get; } = new() { Subjects = true };

    /// <summary>
    /// The other entities whose owner is <paramref name="owner"/> of <paramref name="owners"/>. <paramref name="skew"/>:
    /// how far transactions of different partitions may be apart in event time when they arrive, microseconds; the grace
    /// of this engine, if that of the stream is shorter. Events further back than that are late and not counted.
    /// </summary>
    public static FeatureScope OwnedBy(int owner, int owners, long skew)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(owner);
        ArgumentOutOfRangeException.ThrowIfLessThan(owners, owner + 1);
        ArgumentOutOfRangeException.ThrowIfNegative(skew);
        return new FeatureScope { Others = true, Owner = owner, Owners = owners, Skew = skew };
    }

    /// <summary>
    /// The columns that another engine's view does not tell already, see <see cref="GivenColumns"/>: the others, and whether the
    /// event came late, are put in before <see cref="FeatureEngine.Build"/>.
    /// </summary>
    public static FeatureScope Beyond(GivenColumns given) => new() { Subjects = true, Others = true, Given = given };

    internal bool Subjects { get; private init; }
    internal bool Others { get; private init; }
    internal int Owner { get; private init; }
    internal int Owners { get; private init; } = 1;
    internal long Skew { get; private init; }
    internal GivenColumns? Given { get; private init; }

    /// <summary>Whether whole views are made here, derived features included.</summary>
    internal bool HasView => Subjects;

    internal bool Holds(FeatureCatalog catalog, int entity) => catalog.IsOfSubject(entity) ? Subjects : Others;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool Owns(in EntityKey key) => OwnerOf(key, Owners) == Owner;

    /// <summary>The owner of an entity among <paramref name="owners"/>; the key is a hash, so its upper bits spread evenly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int OwnerOf(in EntityKey key, int owners) => (int)Math.BigMul(key.High, (ulong)owners, out _);
}
