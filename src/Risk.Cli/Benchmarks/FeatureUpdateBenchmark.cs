using System.Diagnostics;
using Risk.Core.Features;
using Risk.Core.Transactions;
using Risk.Storage;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// <c>feature-update</c>: 48 features an event (4 entities × 6 windows, count and sum), a million keys, Zipf; the feature engine
/// on one thread beside Redis doing the same job. Both hold the same events before the first pair, and their answers are compared.
/// </summary>
internal sealed class FeatureUpdateBenchmark : IBenchmark
{
    private const string Case = "4 entities × 6 windows, 1 M keys, Zipf";
    private const int BatchRows = 1024, PipelineDepth = 128;

    public string Name => "feature-update";

    public string Measures => "events a second and core: each updates 4 entities × 6 windows (count and sum), a million keys, Zipf";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        var plan = new FeatureUpdateStream.Scale(context.IsQuick ? 25_000 : 250_000, context.IsQuick ? 50_000 : 500_000);
        var engine = new EngineSide(plan, batches: context.IsQuick ? 16 : 128);
        context.Progress.Note = "filling the engine's windows";
        engine.Fill();
        using RedisServer? redis = RedisServer.TryStart(out string? whyNot);
        if (redis is null)
        {
            result.Skip($"Redis: {whyNot}");
            (_, double alone) = engine.Run(context.PairCount);
            result.Figure(Case, "events a core second", Better.Higher, alone, 500_000);
            return result;
        }

        var peer = new RedisSide(plan, redis);
        context.Progress.Note = "filling Redis";
        peer.Fill(context);
        RequireEqual(engine.LastView, peer.LastView());

        int events = context.IsQuick ? 2_000 : 10_000;
        var (ourCore, theirCore) = (new List<double>(), new List<double>());
        PairedRuns runs = PairedRuns.Measure(context, Case, () => Wall(engine.Run(1), ourCore), () => Wall(peer.Run(events), theirCore));
        // The first of each is the warm-up that PairedRuns does not count.
        var cores = new PairedRuns([.. ourCore.Skip(1)], [.. theirCore.Skip(1)]);
        result.Compare(Case, "events/s", Better.Higher, redis.Version, runs, 20);
        result.Compare(Case, "events a core second", Better.Higher, redis.Version, cores);
        result.Figure("ours", "events a core second", Better.Higher, PairedRuns.Median(cores.Ours), 500_000);
        var (ourPlain, theirPlain) = (new List<double>(), new List<double>());
        PairedRuns.Measure(context, "counts only", () => Wall(engine.Run(1), ourPlain), () => Wall(peer.Run(events, plain: true), theirPlain));
        result.Compare("Redis counting only, plain commands", "events a core second", Better.Higher, redis.Version, new PairedRuns([.. ourPlain.Skip(1)], [.. theirPlain.Skip(1)]));
        result.Note($"{engine.EntityCount:N0} keys, {engine.StateBytes >> 20} MiB of state; windows of 1 and 10 minutes, 1 and 6 hours, 1 and 7 days, {plan.WeekEvents:N0} events in the longest.");
        result.Note($"Redis: one Lua script an event (EVALSHA), a sorted set of events and a packed string of running counts and sums an entity, {PipelineDepth} events in a pipeline, two pipelines in flight, over a unix socket, no persistence. A core second is processor time of the server alone; our client's share of the peer's wall time is not counted against it.");
        result.Note("Redis without a script cannot keep sums: the last line has it count only (ZADD, ZREMRANGEBYSCORE, ZCOUNT), while ours does the whole job.");
        result.Note("The last view of the filling was equal on both sides, 48 of 48.");
        return result;
    }

    private static double Wall((double Wall, double Core) rates, List<double> core)
    {
        core.Add(rates.Core);
        return rates.Wall;
    }

    private static void RequireEqual(double[] ours, double[] theirs)
    {
        for (int i = 0; i < FeatureUpdateStream.FeatureCount; i++)
        {
            if (ours[i] != theirs[i]) { throw new InvalidOperationException($"feature {i}: {ours[i]} here, {theirs[i]} in Redis: the two do not do the same job"); }
        }
    }

    /// <summary>The feature engine over batches that are filled outside the measured time.</summary>
    private sealed class EngineSide
    {
        private readonly FeatureUpdateStream _stream;
        private readonly FeatureEngine _engine;
        private readonly TransactionBatch[] _batches;
        private readonly double[] _views = new double[BatchRows * FeatureUpdateStream.FeatureCount];
        private readonly bool[] _late = new bool[BatchRows];
        private readonly int[] _rows = [.. Enumerable.Range(0, BatchRows)];

        public EngineSide(FeatureUpdateStream.Scale scale, int batches)
        {
            _stream = new FeatureUpdateStream(scale);
            _engine = new FeatureEngine(FeatureUpdateStream.Catalog, newMemory: HugePages.Advise);
            _batches = [.. Enumerable.Range(0, batches).Select(_ => new TransactionBatch(FeatureUpdateStream.Catalog.Schema, BatchRows))];
        }

        public double[] LastView { get; private set; } = [];
        public long EntityCount => _engine.EntityCount;
        public long StateBytes => _engine.StateBytes;

        public void Fill()
        {
            for (int left = _stream.FillEvents; left > 0;)
            {
                TransactionBatch batch = _batches[0];
                int rows = Math.Min(left, BatchRows);
                _stream.Fill(batch, rows);
                _engine.Build(batch, _rows.AsSpan(0, rows), _views, _late);
                left -= rows;
                LastView = _views.AsSpan((rows - 1) * FeatureUpdateStream.FeatureCount, FeatureUpdateStream.FeatureCount).ToArray();
            }
        }

        public (double Wall, double Core) Run(int times)
        {
            TimeSpan core = TimeSpan.Zero;
            long ticks = 0;
            for (int n = 0; n < times; n++)
            {
                foreach (TransactionBatch batch in _batches) { _stream.Fill(batch, BatchRows); }
                TimeSpan coreBefore = Environment.CpuUsage.TotalTime;
                long before = Stopwatch.GetTimestamp();
                foreach (TransactionBatch batch in _batches) { _engine.Build(batch, _rows, _views, _late); }
                ticks += Stopwatch.GetTimestamp() - before;
                core += Environment.CpuUsage.TotalTime - coreBefore;
            }
            double events = (double)times * _batches.Length * BatchRows;
            return (events * Stopwatch.Frequency / ticks, events / core.TotalSeconds);
        }
    }

    /// <summary>Redis, spoken to by requests that are encoded outside the measured time.</summary>
    private sealed class RedisSide(FeatureUpdateStream.Scale scale, RedisServer redis)
    {
        private readonly FeatureUpdateStream _stream = new(scale);
        private readonly string _script = redis.LoadScript(FeatureUpdateStream.RedisScript);

        public void Fill(BenchmarkContext context)
        {
            int left = _stream.FillEvents;
            while (left > 0)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                context.Progress.Note = $"filling Redis, {left:N0} events to go";
                int events = Math.Min(left, 40 * PipelineDepth);
                redis.Exchange(Encode(events, plain: false));
                left -= events;
            }
        }

        public double[] LastView() => FeatureUpdateStream.DecodeRedis(redis.LastReply);

        public (double Wall, double Core) Run(int events, bool plain = false)
        {
            List<RedisServer.Pipeline> pipelines = Encode(events, plain);
            double coreBefore = redis.CoreSeconds();
            long before = Stopwatch.GetTimestamp();
            redis.Exchange(pipelines);
            double wall = Stopwatch.GetElapsedTime(before).TotalSeconds;
            return (events / wall, events / (redis.CoreSeconds() - coreBefore));
        }

        private List<RedisServer.Pipeline> Encode(int events, bool plain)
        {
            var pipelines = new List<RedisServer.Pipeline>();
            for (int left = events; left > 0; left -= PipelineDepth)
            {
                int depth = Math.Min(left, PipelineDepth);
                var pipeline = new RedisServer.Pipeline();
                for (int i = 0; i < depth; i++)
                {
                    if (plain) { _stream.EncodeNextPlain(pipeline); } else { _stream.EncodeNext(pipeline, _script); }
                }
                pipelines.Add(pipeline);
            }
            return pipelines;
        }
    }
}
