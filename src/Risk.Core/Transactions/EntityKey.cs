namespace Risk.Core.Transactions;

/// <summary>
/// The keyed 128-bit hash that stands for an entity (card, account, merchant, device), a field's value or an event id.
/// The given text is not kept here, so a card number cannot leak out of engine state. 128 bits: two different texts
/// never meet in practice (below 10⁻²⁰ for a thousand million keys).
/// </summary>
public readonly record struct EntityKey(ulong High, ulong Low)
{
    /// <summary>The key of a composite entity, from the keys of its parts in the order they are declared.</summary>
    public static EntityKey Combine(EntityKey first, EntityKey second)
    {
        ulong high = Mix(first.High ^ ulong.RotateLeft(second.High, 31) ^ 0x9E3779B97F4A7C15UL) + second.Low;
        ulong low = Mix(first.Low + ulong.RotateLeft(second.Low, 17) + 0xD1B54A32D192ED03UL) ^ second.High;
        return new EntityKey(Mix(high), Mix(low));
    }

    // The finalizer of SplitMix64 (Steele, Lea, Flood 2014), a bijection with full avalanche.
    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9UL;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EBUL;
        return value ^ (value >> 31);
    }
}
