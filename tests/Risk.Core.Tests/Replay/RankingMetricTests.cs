using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Replay;

namespace Risk.Core.Tests.Replay;

/// <summary>
/// The expected figures were computed by scikit-learn 1.2.1, on rows with many ties made by the same generator:
/// <code>
/// /usr/bin/python3 - &lt;&lt;'PY'
/// from sklearn.metrics import roc_auc_score, average_precision_score
/// def rows(seed, n, levels, rate):
///     x, s, l = seed, [], []
///     for _ in range(n):
///         x = (1103515245 * x + 12345) % 2**31; a = (x >> 8) % levels
///         x = (1103515245 * x + 12345) % 2**31; b = (x >> 8) % 1000
///         s.append(a / levels); l.append(1 if b &lt; rate + (a * rate) // levels else 0)
///     return s, l
/// for args in [(1, 50, 5, 300), (2, 1000, 20, 100), (3, 5000, 1000, 10), (4, 2000, 2, 400), (5, 300, 1000000, 200)]:
///     s, l = rows(*args); print(args, roc_auc_score(l, s), average_precision_score(l, s))
/// PY
/// </code>
/// </summary>
public sealed class RankingMetricTests
{
    [Theory]
    [InlineData(1, 50, 5, 300, 0.4966666666666667, 0.40537698412698414)]
    [InlineData(2, 1000, 20, 100, 0.5283174486803519, 0.1388115202028189)]
    [InlineData(3, 5000, 1000, 10, 0.5784414882509734, 0.019282778510230407)]
    [InlineData(4, 2000, 2, 400, 0.6089964359857439, 0.5654497428592125)]
    [InlineData(5, 300, 1000000, 200, 0.605917667238422, 0.3623289376699698)]
    public void AucAndAveragePrecision_EqualScikitLearn(int seed, int rowCount, int levels, int rate, double auc, double averagePrecision)
    {
        (double[] scores, bool[] frauds) = Rows(seed, rowCount, levels, rate);
        Assert.Equal(auc, RocAuc.Of(scores, frauds)!.Value, 1e-12);
        Assert.Equal(averagePrecision, AveragePrecision.Of(scores, frauds)!.Value, 1e-12);
    }

    [Theory]
    // The first is scikit-learn's own example of both functions: auc .75, average precision .8333.
    [InlineData(new[] { 0.1, 0.4, 0.35, 0.8 }, new[] { false, false, true, true }, 0.75, 0.8333333333333333)]
    [InlineData(new[] { 0.1, 0.2, 0.3, 0.4 }, new[] { false, false, true, true }, 1.0, 1.0)]
    [InlineData(new[] { 0.4, 0.3, 0.2, 0.1 }, new[] { false, false, true, true }, 0.0, 0.41666666666666663)]
    [InlineData(new[] { 0.5, 0.5, 0.5, 0.5 }, new[] { false, false, true, true }, 0.5, 0.5)]
    [InlineData(new[] { 0.0, -0.0 }, new[] { true, false }, 0.5, 0.5)]
    public void SmallCases_AreKnown(double[] scores, bool[] frauds, double auc, double averagePrecision)
    {
        Assert.Equal(auc, RocAuc.Of(scores, frauds)!.Value, 1e-15);
        Assert.Equal(averagePrecision, AveragePrecision.Of(scores, frauds)!.Value, 1e-15);
    }

    [Fact]
    public void OneClassOnly_HasNoFigure()
    {
        Assert.Null(RocAuc.Of([], []));
        Assert.Null(RocAuc.Of([0.1, 0.2], [true, true]));
        Assert.Null(RocAuc.Of([0.1, 0.2], [false, false]));
        Assert.Null(AveragePrecision.Of([0.1, 0.2], [false, false]));
        Assert.Equal(1.0, AveragePrecision.Of([0.1, 0.2], [true, true]));
    }

    [Fact]
    public void Auc_IsTheShareOfPairsInOrder() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            (double[] scores, bool[] frauds) = Rows(Math.Abs(seed % 10_000) + 1, 60, 7, 400);
            double pairs = 0, right = 0;
            for (int fraud = 0; fraud < 60; fraud++)
            {
                for (int good = 0; good < 60; good++)
                {
                    if (!frauds[fraud] || frauds[good])
                        continue;
                    pairs++;
                    right += scores[fraud] > scores[good] ? 1 : scores[fraud] == scores[good] ? 0.5 : 0;
                }
            }
            return RocAuc.Of(scores, frauds) is { } auc ? Math.Abs(auc - right / pairs) < 1e-12 : pairs == 0;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200));

    private static (double[] Scores, bool[] Frauds) Rows(int seed, int count, int levels, int rate)
    {
        long state = seed;
        long Next() => (state = ((1103515245 * state) + 12345) % (1L << 31)) >> 8;
        double[] scores = new double[count];
        bool[] frauds = new bool[count];
        for (int row = 0; row < count; row++)
        {
            long level = Next() % levels;
            scores[row] = (double)level / levels;
            frauds[row] = Next() % 1000 < rate + (level * rate / levels);
        }
        return (scores, frauds);
    }
}
