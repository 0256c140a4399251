using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Transactions;
using static Risk.Core.Tests.Features.HandbookFeaturesTests;

namespace Risk.Core.Tests.Features;

/// <summary>The columns that the sequence model reads, on the shipped stream, against each card's plain list of payments.</summary>
public sealed class SequenceColumnsTests
{
    private const int Steps = 16, Count = 50_000, BatchRows = 1000;
    private const long Window = 30 * Micro.Day;

    [Fact]
    public void NewestPayments_OfEachCard_AreItsListReadBackwards()
    {
        string streams = Path.Combine(Root(), "streams");
        StreamDefinition definition = Load(Path.Combine(streams, "card-payments-sequence"));
        FeatureCatalog catalog = definition.Catalog;
        var engine = new FeatureEngine(catalog);
        var batch = new TransactionBatch(definition.Schema, BatchRows);
        double[] views = new double[BatchRows * catalog.Count];
        int amounts = Index(catalog, "customer_amount_back_1"), ages = Index(catalog, "customer_seconds_back_1"), full = 0;
        var cards = new Dictionary<int, List<Payment>>();
        foreach (Payment[] payments in Payments(Path.Combine(streams, "card-payments")).Take(Count).Chunk(BatchRows))
        {
            batch.Clear();
            foreach (Payment payment in payments) { Put(batch, payment); }
            engine.Build(batch, [.. Enumerable.Range(0, payments.Length)], views, new bool[BatchRows]);
            for (int i = 0; i < payments.Length; i++)
            {
                List<Payment> card = cards.TryGetValue(payments[i].Customer, out List<Payment>? known) ? known : cards[payments[i].Customer] = [];
                for (int step = 1; step <= Steps; step++)
                {
                    bool isThere = step <= card.Count && card[^step].Time > payments[i].Time - Window;
                    double amount = isThere ? card[^step].Amount : double.NaN, age = isThere ? (payments[i].Time - card[^step].Time) * 1e-6 : double.NaN;
                    Assert.True(views[i * catalog.Count + amounts + step - 1].Equals(amount) && views[i * catalog.Count + ages + step - 1].Equals(age), $"payment {payments[i].Id}, step {step}");
                }
                full += card.Count >= Steps ? 1 : 0;
                card.Add(payments[i]);
            }
        }
        Assert.True(full > 1000, "too few cards had a full history");
    }

    [Fact]
    public void ChallengersStream_HasTheFeaturesAndThePolicyOfTheChampions()
    {
        string streams = Path.Combine(Root(), "streams");
        StreamDefinition champion = Load(Path.Combine(streams, "card-payments")), challenger = Load(Path.Combine(streams, "card-payments-sequence"));
        Assert.Equal(champion.Catalog.Features, challenger.Catalog.Features.Take(champion.Catalog.Count));
        Assert.Equal(champion.Catalog.Count + 2 * Steps, challenger.Catalog.Count);
        string[] policies = [.. new[] { "card-payments", "card-payments-sequence" }.Select(s => File.ReadAllText(Path.Combine(streams, s, "policy.json")).Replace($"\"stream\": \"{s}\"", "", StringComparison.Ordinal))];
        Assert.Equal(policies[0], policies[1]);
    }

    private static int Index(FeatureCatalog catalog, string name) => catalog.TryFeature(name, out int index) ? index : throw new InvalidOperationException($"the catalog has no {name}");

    private static StreamDefinition Load(string folder)
    {
        var errors = new List<DefinitionError>();
        byte[] Read(string file) => File.ReadAllBytes(Path.Combine(folder, file));
        return StreamDefinition.Read(Read("schema.json"), Read("features.json"), Read("policy.json"), folder, errors) ?? throw new InvalidOperationException(string.Join('\n', errors));
    }
}
