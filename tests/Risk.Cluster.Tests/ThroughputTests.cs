using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Risk.Cluster.Tests;

/// <summary>
/// One silo and two in turn, with where the processor time went. On a machine whose cores the database, the broker and the load
/// generator share with the silos, what two silos can do on machines of their own follows from their processor time a decision.
/// Figures, no bar: <c>RISK_SOAK=1</c>.
/// </summary>
public sealed class ThroughputTests(ITestOutputHelper output)
{
    private const int PerBatch = 512, AtOnce = 8, Customers = 2_000, KafkasWarm = 300_000;
    // The mock broker keeps 5 MiB of a partition: never further ahead of the silos than a quarter of that.
    private const int KafkasAhead = 30_000, KafkasAtOnce = 500;
    // Warm: a silo compiles its code in its first 100,000 decisions or so, which costs as much again; two silos do so each for itself.
    private static readonly int[] s_silos = [1, 2, 1, 2];
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(120), s_warm = TimeSpan.FromSeconds(18), s_time = TimeSpan.FromSeconds(15);

    [SoakFact]
    public async Task BatchesByCall()
    {
        var runs = new List<Run>();
        foreach (int count in s_silos)
        {
            using var cluster = new TestCluster();
            List<TestSilo> silos = [.. Enumerable.Range(0, count).Select(i => cluster.StartSilo($"{i}"))];
            RiskClusterClient client = cluster.Connect();
            int next = 0;
            var warming = Stopwatch.StartNew();
            await Load(client, () => warming.Elapsed < s_warm);
            Assert.Equal(count, (await Task.WhenAll(Enumerable.Range(0, TestCluster.Partitions).Select(p => client.Shard(p).Place()))).Select(p => p.Silo).Distinct().Count());
            int begun = next;
            var meter = new Meter(cluster, silos);
            await Load(client, () => meter.Clock.Elapsed < s_time);
            runs.Add(meter.Read("by call", next - begun));
            cluster.AssertOneDecisionEach(next);

            Task Load(RiskClusterClient to, Func<bool> goesOn) => Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
            {
                while (goesOn())
                {
                    int first = Interlocked.Add(ref next, PerBatch) - PerBatch;
                    ShardAnswer[] answers = await to.Decide([.. Enumerable.Range(first, PerBatch).Select(i => Payments.Json(i, Customers))], s_answerMax);
                    Assert.All(answers, a => Assert.True(a.Code is "" or "DUP_SAME", a.Code));
                }
            }));
        }
        Say(runs);
    }

    [SoakFact]
    public void ByKafka()
    {
        var runs = new List<Run>();
        foreach (int count in s_silos)
        {
            using var topics = new TestTopics(isRead: false);
            using var cluster = new TestCluster(topics.Broker.BootstrapServers);
            List<TestSilo> silos = [.. Enumerable.Range(0, count).Select(i => cluster.StartSilo($"{i}"))];
            long sent = 0, decided = 0;
            Feed(() => decided < KafkasWarm);
            long begun = decided;
            var meter = new Meter(cluster, silos);
            Feed(() => meter.Clock.Elapsed < s_time);
            runs.Add(meter.Read("by Kafka", (int)(decided - begun)));
            for (var waited = Stopwatch.StartNew(); decided < sent; Thread.Sleep(50))
            {
                Assert.True(waited.Elapsed < s_answerMax, $"{decided} of {sent}:\n{cluster.Errors}");
                decided = Decided();
            }
            Assert.Equal(sent, cluster.Query<long>("SELECT count(DISTINCT event_key) FROM risk.entry"));
            Assert.Equal(sent, cluster.Query<long>("SELECT count(event_key) FROM risk.entry"));

            // The silos always have something to read, and the broker still has what they have not read.
            void Feed(Func<bool> goesOn)
            {
                while (goesOn())
                {
                    for (; sent - decided < KafkasAhead; sent += KafkasAtOnce) { topics.Send(sent, sent + KafkasAtOnce, Customers); }
                    Thread.Sleep(10);
                    decided = Decided();
                }
            }

            long Decided() => cluster.Query<long>("SELECT coalesce(sum((SELECT end_sequence FROM risk.log_commit c WHERE c.log = l.log ORDER BY number DESC LIMIT 1)), 0)::bigint FROM risk.decision_log l");
        }
        Say(runs);
    }

    private void Say(List<Run> runs)
    {
        foreach (Run run in runs) { output.WriteLine(run.ToString()); }
        double one = Mean(runs.Where(r => r.Silos.Length == 1)), two = Mean(runs.Where(r => r.Silos.Length == 2));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"silos' processor time a decision, mean: one {one:F1} us, two {two:F1} us; on cores of their own two silos do 2 x {one:F1} / {two:F1} = {2 * one / two:F2} times one"));

        static double Mean(IEnumerable<Run> runs) => runs.Average(r => r.SiloMicros);
    }

    private sealed record Run(string Way, int Decisions, double Seconds, double[] Silos, double Database, double Own, double Machine, string Threads)
    {
        public double SiloMicros => Silos.Sum() * 1e6 / Decisions;

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"{Way}, {Silos.Length} silo(s): {Decisions / Seconds:F0} decisions/s ({Decisions} in {Seconds:F1} s); processor time a decision: silos {SiloMicros:F1} us, PostgreSQL {Database * 1e6 / Decisions:F1} us, load and broker {Own * 1e6 / Decisions:F1} us; cores busy: silos {string.Join(" + ", Silos.Select(s => (s / Seconds).ToString("F2", CultureInfo.InvariantCulture)))}, PostgreSQL {Database / Seconds:F2}, this process {Own / Seconds:F2}, other people's {Math.Max(0, Machine - Silos.Sum() - Database - Own) / Seconds:F2}, of {Environment.ProcessorCount}; the silos' threads, us a decision: {Threads}");
    }

    /// <summary>Processor time of everybody who takes part, from here on.</summary>
    private sealed class Meter
    {
        private const double Tick = 0.01; // s: USER_HZ of Linux
        private readonly List<TestSilo> _silos;
        private readonly int _postmaster;
        private readonly double[] _before;
        private readonly double _database, _own, _machine;
        private readonly Dictionary<string, double> _threads;

        public Meter(TestCluster cluster, List<TestSilo> silos)
        {
            _silos = silos;
            _postmaster = int.Parse(cluster.Query<string>("SELECT pg_read_file('postmaster.pid')").Split('\n')[0], CultureInfo.InvariantCulture);
            _before = [.. silos.Select(s => s.Process.Processor.TotalSeconds)];
            (_database, _own, _machine) = (Database(), Own(), Machine());
            _threads = Threads();
            Clock = Stopwatch.StartNew();
        }

        public Stopwatch Clock { get; }

        public Run Read(string way, int decisions) => new(way, decisions, Clock.Elapsed.TotalSeconds, [.. _silos.Zip(_before, (s, b) => s.Process.Processor.TotalSeconds - b)], Database() - _database, Own() - _own, Machine() - _machine, Threads(decisions));

        private string Threads(int decisions) => string.Join(", ", Threads().Select(t => (t.Key, Micros: (t.Value - _threads.GetValueOrDefault(t.Key)) * 1e6 / decisions)).Where(t => t.Micros >= 0.5).OrderByDescending(t => t.Micros)
            .Select(t => string.Create(CultureInfo.InvariantCulture, $"{t.Key} {t.Micros:F1}")));

        /// <summary>Processor time of the silos' threads, by their names.</summary>
        private Dictionary<string, double> Threads()
        {
            var sums = new Dictionary<string, double>();
            foreach (string file in _silos.SelectMany(s => Directory.EnumerateDirectories($"/proc/{s.Process.Id}/task")))
            {
                string[] parts = File.ReadAllText($"{file}/stat").Split('(', ')');
                string[] stat = parts[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                sums[parts[1]] = sums.GetValueOrDefault(parts[1]) + stat[11..13].Sum(ticks => double.Parse(ticks, CultureInfo.InvariantCulture)) * Tick;
            }
            return sums;
        }

        private static double Own()
        {
            using Process self = Process.GetCurrentProcess();
            return self.TotalProcessorTime.TotalSeconds;
        }

        /// <summary>The server's processes, with those that have ended.</summary>
        private double Database()
        {
            double sum = 0;
            foreach (string folder in Directory.EnumerateDirectories("/proc").Where(d => char.IsDigit(Path.GetFileName(d)[0])))
            {
                try
                {
                    // After the name in brackets: state, parent, ...; 14 to 17 of proc(5) are own and waited-for children's time.
                    string[] stat = File.ReadAllText($"{folder}/stat").Split(')')[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    bool isPostmaster = Path.GetFileName(folder) == _postmaster.ToString(CultureInfo.InvariantCulture);
                    if (!isPostmaster && stat[1] != _postmaster.ToString(CultureInfo.InvariantCulture)) { continue; }
                    sum += stat[11..(isPostmaster ? 15 : 13)].Sum(ticks => double.Parse(ticks, CultureInfo.InvariantCulture)) * Tick;
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    // It ended meanwhile; its parent has its time.
                }
            }
            return sum;
        }

        /// <summary>Everything that ran on the machine: user, nice, system, interrupts.</summary>
        private static double Machine()
        {
            string[] cpu = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return new[] { 1, 2, 3, 6, 7 }.Sum(i => double.Parse(cpu[i], CultureInfo.InvariantCulture)) * Tick;
        }
    }
}

/// <summary>Only with <c>RISK_SOAK=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SoakFactAttribute : FactAttribute
{
    public SoakFactAttribute() => Skip = TestCluster.Missing ?? (Environment.GetEnvironmentVariable("RISK_SOAK") == "1" ? null : "a measurement of minutes: RISK_SOAK=1");
}
