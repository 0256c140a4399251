using System.Globalization;
using System.IO.Compression;
using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Transactions;
using Xunit.Abstractions;

namespace Risk.Core.Tests.Features;

/// <summary>
/// The handbook's 15 features on the shipped stream equal a plain computation that shares nothing with the engine: per entity
/// a list of times with running totals, each window the difference of two of them found by binary search. Over the first 45
/// days; the delayed windows reach back 37.
/// </summary>
public sealed class HandbookFeaturesTests(ITestOutputHelper output)
{
    private const int Days = 45, BatchRows = 4096;

    private static readonly int[] s_days = [1, 7, 30];

    private static readonly string[] s_names =
    [
        "amount", "is_weekend", "is_night",
        .. s_days.SelectMany(days => (string[])[$"customer_count_{days}d", $"customer_amount_mean_{days}d", $"terminal_count_{days}d_delay_7d", $"terminal_fraud_rate_{days}d_delay_7d"]),
    ];

    private static readonly bool[] s_isMean = [.. s_names.Select(name => name.Contains("mean", StringComparison.Ordinal))];

    internal readonly record struct Payment(int Id, long Time, int Customer, int Terminal, double Amount);

    private sealed class Totals
    {
        private readonly List<long> _times = [];
        private readonly List<decimal> _amounts = [0];
        private readonly List<int> _frauds = [0];

        public void Add(long time, decimal amount, bool fraud)
        {
            _times.Add(time);
            _amounts.Add(_amounts[^1] + amount);
            _frauds.Add(_frauds[^1] + (fraud ? 1 : 0));
        }

        /// <summary>Count, amount and frauds of (from, to].</summary>
        public (int Count, decimal Amount, int Frauds) Between(long from, long to)
        {
            int low = UpTo(from), high = UpTo(to);
            return (high - low, _amounts[high] - _amounts[low], _frauds[high] - _frauds[low]);
        }

        private int UpTo(long time)
        {
            int low = 0, high = _times.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (_times[middle] <= time) { low = middle + 1; } else { high = middle; }
            }
            return low;
        }
    }

    [Fact]
    public void HandbookFeatures_OnTheShippedStream_EqualThePlainComputation()
    {
        string folder = Path.Combine(Root(), "streams", "card-payments");
        StreamSchema schema = StreamSchema.Read(File.ReadAllBytes(Path.Combine(folder, "schema.json")), "schema.json", out IReadOnlyList<CodedError> faults)
            ?? throw new InvalidOperationException(string.Join('\n', faults));
        var errors = new List<DefinitionError>();
        FeatureCatalog catalog = FeatureCatalog.Read(File.ReadAllBytes(Path.Combine(folder, "features.json")), "features.json", schema, errors)
            ?? throw new InvalidOperationException(string.Join('\n', errors));
        HashSet<int> frauds = [.. File.ReadLines(Path.Combine(folder, "labels.csv")).Skip(1).Select(line => line.Split(',')).Where(row => row[1] == "1").Select(row => int.Parse(row[0]))];
        var engine = new FeatureEngine(catalog, new Labels(frauds));

        var customers = new Dictionary<int, Totals>();
        var terminals = new Dictionary<int, Totals>();
        var batch = new TransactionBatch(schema, BatchRows);
        var views = new double[BatchRows * catalog.Count];
        var expected = new double[s_names.Length];
        int[] columns = [.. s_names.Select(name => catalog.TryFeature(name, out int column) ? column : throw new InvalidOperationException($"the catalog has no {name}"))];
        int compared = 0;
        foreach (Payment[] payments in Payments(folder).TakeWhile(p => p.Time < Micro.FromDateTimeOffset(new DateTimeOffset(2018, 4, 1, 0, 0, 0, TimeSpan.Zero)) + Days * Micro.Day).Chunk(BatchRows))
        {
            batch.Clear();
            foreach (Payment payment in payments) { Put(batch, payment); }
            engine.Build(batch, [.. Enumerable.Range(0, payments.Length)], views, new bool[BatchRows]);
            for (int i = 0; i < payments.Length; i++)
            {
                Expect(payments[i], customers, terminals, frauds.Contains(payments[i].Id), expected);
                for (int f = 0; f < s_names.Length; f++)
                {
                    double actual = views[i * catalog.Count + columns[f]], value = expected[f];
                    bool equal = s_isMean[f] ? Math.Abs(actual - value) <= 1e-9 * Math.Abs(value) : actual == value;
                    if (!equal) { Assert.Fail($"{s_names[f]} of transaction {payments[i].Id} is {actual:R}, must be {value:R}"); }
                }
                compared += s_names.Length;
            }
        }
        output.WriteLine($"{compared} values; {engine.EntityCount} entities, {engine.StateBytes / engine.EntityCount} bytes an entity");
        Assert.True(compared > 15 * 400_000);
    }

    /// <summary>In the order of <see cref="s_names"/>.</summary>
    private static void Expect(Payment payment, Dictionary<int, Totals> customers, Dictionary<int, Totals> terminals, bool fraud, double[] expected)
    {
        DateTimeOffset time = Micro.ToDateTimeOffset(payment.Time);
        expected[0] = payment.Amount;
        expected[1] = time.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday ? 1 : 0;
        expected[2] = time.Hour <= 6 ? 1 : 0;
        Totals customer = Of(customers, payment.Customer), terminal = Of(terminals, payment.Terminal);
        customer.Add(payment.Time, (decimal)payment.Amount, fraud);
        terminal.Add(payment.Time, (decimal)payment.Amount, fraud);
        for (int i = 0; i < s_days.Length; i++)
        {
            (int count, decimal amount, _) = customer.Between(payment.Time - s_days[i] * Micro.Day, payment.Time);
            // The handbook's own form: over 7 + W days, less the last 7.
            (int over, _, int fraudsOver) = terminal.Between(payment.Time - (7 + s_days[i]) * Micro.Day, payment.Time);
            (int last, _, int fraudsLast) = terminal.Between(payment.Time - 7 * Micro.Day, payment.Time);
            expected[3 + i * 4] = count;
            expected[4 + i * 4] = (double)(amount / count);
            expected[5 + i * 4] = over - last;
            expected[6 + i * 4] = over == last ? 0 : (double)(fraudsOver - fraudsLast) / (over - last);
        }
    }

    private static Totals Of(Dictionary<int, Totals> of, int id) => of.TryGetValue(id, out Totals? totals) ? totals : of[id] = new Totals();

    internal static IEnumerable<Payment> Payments(string folder)
    {
        using var reader = new StreamReader(new GZipStream(File.OpenRead(Path.Combine(folder, "transactions.csv.gz")), CompressionMode.Decompress));
        reader.ReadLine();
        while (reader.ReadLine() is { } line)
        {
            string[] cells = line.Split(',');
            long time = Micro.FromDateTimeOffset(DateTimeOffset.ParseExact(cells[1], "yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal));
            yield return new Payment(int.Parse(cells[0]), time, int.Parse(cells[2]), int.Parse(cells[3]), double.Parse(cells[4], CultureInfo.InvariantCulture));
        }
    }

    internal static void Put(TransactionBatch batch, Payment payment)
    {
        batch.Begin();
        batch.PutEventKey(new EntityKey(1, (ulong)payment.Id + 1));
        batch.PutText(0, Encoding.UTF8.GetBytes(payment.Id.ToString(CultureInfo.InvariantCulture)));
        batch.PutEventTime(payment.Time);
        batch.PutText(1, []);
        batch.PutKey(0, new EntityKey(1, (ulong)payment.Customer * 0x9E3779B97F4A7C15UL + 1));
        batch.PutText(2, []);
        batch.PutKey(1, new EntityKey(2, (ulong)payment.Terminal * 0x9E3779B97F4A7C15UL + 1));
        batch.PutNumber(0, payment.Amount);
        batch.Commit(payment.Id + 1, 0, 0);
    }

    private sealed class Labels(HashSet<int> frauds) : ILabelSource
    {
        public bool IsPositive(in EntityKey eventKey, out long? knownAt)
        {
            knownAt = null;
            return frauds.Contains((int)eventKey.Low - 1);
        }
    }

    internal static string Root()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Risk.sln"))) { folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("no Risk.sln above the tests"); }
        return folder;
    }
}
