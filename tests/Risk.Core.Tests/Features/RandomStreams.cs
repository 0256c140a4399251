using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Features;

/// <summary>
/// Random streams: ties, bursts, gaps as long as a window to the microsecond, gaps past the idle time, events out of order
/// up to exactly the grace and beyond it, few entities, absent fields, labels. A failing stream shrinks by leaving out genes.
/// </summary>
internal static class RandomStreams
{
    /// <summary>What one event is made from; a smaller number is a plainer event.</summary>
    internal readonly record struct Gene(int Step, int Length, int Entity, int Value, int Fate);

    private static readonly Gen<Gene> s_gene =
        from step in Gen.Choose(0, 99)
        from length in Gen.Choose(0, 29)
        from entity in Gen.Choose(0, 9)
        from value in Gen.Choose(0, 199)
        from fate in Gen.Choose(0, 99)
        select new Gene(step, length, entity, value, fate);

    public static Arbitrary<Gene[]> Genes(int countMax) =>
        Arb.From(Gen.Choose(1, countMax).SelectMany(count => s_gene.ArrayOf(count)), Shrink);

    private static IEnumerable<Gene[]> Shrink(Gene[] genes)
    {
        for (int size = genes.Length / 2; size >= 1; size /= 2)
        {
            for (int from = 0; from + size <= genes.Length && genes.Length > 1; from += size) { yield return [.. genes[..from], .. genes[(from + size)..]]; }
        }
    }

    public static TestEvent[] Events(Gene[] genes)
    {
        var events = new TestEvent[genes.Length];
        long watermark = TestStream.Start;
        for (int i = 0; i < genes.Length; i++)
        {
            Gene gene = genes[i];
            long time = watermark + gene.Step switch
            {
                < 25 => 0,
                < 45 => gene.Length * Micro.Second / 10,
                < 65 => (1 + gene.Length / 10) * 10 * Micro.Second, // onto the ends of windows
                < 70 => 10 * Micro.Second + gene.Length - 15, // a few microseconds before and after them
                < 76 => Micro.Minute + gene.Length / 10 - 1,
                < 78 => 5 * Micro.Minute,
                < 79 => 20 * Micro.Minute + gene.Length / 10 - 1, // about the idle time
                < 80 => 40 * Micro.Minute,
                < 88 => -(1 + gene.Length) * Micro.Second, // up to exactly the grace
                < 96 => Math.Max(-TestStream.Grace, events[Math.Max(0, i - 1 - gene.Length % 8)]?.Time - watermark ?? 0), // a tie with an earlier event
                < 97 => -TestStream.Grace,
                < 98 => -TestStream.Grace - 1,
                _ => -gene.Length * 10 * Micro.Second - Micro.Second,
            };
            watermark = Math.Max(watermark, time);
            events[i] = new TestEvent(time, gene.Entity switch { < 6 => "a", < 9 => "b", _ => "c" }, Amount(gene.Value))
            {
                Shop = (gene.Entity + gene.Value) % 6 is var shop && shop == 5 ? null : $"shop{shop % 3}",
                Fee = gene.Value % 3 == 0 ? null : gene.Value / 8.0 - 10,
                Country = (gene.Value % 4) switch { 0 => null, 1 => "BE", _ => "FR" },
                Fraud = gene.Fate < 35,
                KnownAt = (gene.Fate % 5) switch { 0 => time, 1 => time + 5 * Micro.Second, 2 => time + 3 * Micro.Minute, _ => null },
            };
        }
        return events;
    }

    private static double Amount(int value) => value switch
    {
        < 120 => value % 13 * 7.77, // equal values: ties of extremes
        < 195 => value / 7.0,
        < 198 => -value,
        _ => 1e9 + value,
    };
}
