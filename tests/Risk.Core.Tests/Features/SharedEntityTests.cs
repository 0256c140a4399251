using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Features;

/// <summary>A stream cut into partitions by card, with the shops' histories at owners of their own, against one engine that has it all.</summary>
public sealed class SharedEntityTests
{
    private const int Partitions = 3, Owners = 3;
    private const long Skew = 2 * Micro.Minute;

    private static readonly FeatureCatalog s_catalog = TestStream.Catalog(string.Join(",",
    [
        """{"name":"amount","field":"amount"}""", """{"name":"hour","calendar":"hour"}""",
        .. from entity in (string[])["card", "shop", "pair"]
           from aggregate in (string[])["count", "sum", "mean", "std", "min", "max", "distinct", "last", "time_since_last", "label_count", "label_rate"]
           from shape in (string[])["", ""","window":"1m" """, ""","window":"1m","delay":"20s" """, ""","window":"1m","filter":{"feature":"amount","op":">","value":20}"""]
           where aggregate != "distinct" || shape.Length > 0
           let of = aggregate switch { "sum" or "mean" or "std" or "min" or "max" or "last" => ""","of":"amount" """, "distinct" => ""","of":"card" """, _ => "" }
           select $$"""{"name":"{{entity}}_{{aggregate}}_{{shape.Length}}","entity":"{{entity}}","aggregate":"{{aggregate}}"{{of}}{{shape}}}""",
        """{"name":"shop_back","entity":"shop","aggregate":"last","of":"amount","window":"1m","count":4}""",
        """{"name":"shop_ago","entity":"shop","aggregate":"time_since_last","window":"1m","count":3,"filter":{"feature":"amount","op":">","value":20}}""",
        """{"name":"before","entity":"shop","aggregate":"mean","of":"amount","window":"1m","current":false}""",
        """{"name":"ratio","ratio":["amount","before"]}""", """{"name":"difference","difference":["shop_count_0","card_count_0"]}""",
    ]));

    private static readonly RemoteColumns s_columns = new(s_catalog);

    [Fact]
    public void RemoteColumns_AreThoseOfEntitiesWithoutTheSubject()
    {
        Assert.NotEqual(0, s_columns.Count);
        foreach (int i in s_columns.Features) { Assert.Equal("shop", s_catalog.Entities[s_catalog.Features[i].Entity].Name); }
        Assert.Equal(s_catalog.Features.Count(f => f.Source == FeatureSource.Aggregate && s_catalog.Entities[f.Entity].Name == "shop"), s_columns.Count);
    }

    [Fact]
    public void InEventTimeOrder_ShardsAndOwners_GiveTheViewsOfOneEngine_LabelsLearnedLive() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(RandomStreams.Genes(120), genes =>
        {
            TestEvent[] events = Sorted(genes, unique: false);
            Answers one = Answers.Of(s_catalog, events, [16]); // labels known up front
            double[][] many = Sharded(events);
            for (int i = 0; i < events.Length; i++)
            {
                for (int f = 0; f < s_catalog.Count; f++)
                {
                    Assert.True(one.Views[i][f].Equals(many[i][f]), $"event {i}, {s_catalog.Features[f].Name}: {one.Views[i][f]} against {many[i][f]}");
                }
            }
        }));

    [Fact]
    public void OrderAcrossPartitions_WithinTheSkew_DoesNotMatterForTheState() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(RandomStreams.Genes(100), ArbMap.Default.ArbFor<int>(), (genes, seed) =>
        {
            TestEvent[] events = Sorted(genes, unique: true);
            EntityShard sorted = Owner(0, owners: 1), shuffled = Owner(0, owners: 1);
            for (int i = 0; i < events.Length; i++) { sorted.Take(0, i, Batch(events, i)); }
            foreach (int i in Interleaved(events, new Random(seed))) { shuffled.Take(0, i, Batch(events, i)); }
            Assert.Equal(Probe(sorted, events), Probe(shuffled, events));
        }));

    [Fact]
    public void TransactionThatComesAgain_IsAnsweredAsOfItsTime_AndCountedOnce() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(40),
        Prop.ForAll(RandomStreams.Genes(60), genes =>
        {
            TestEvent[] events = Sorted(genes, unique: true);
            EntityShard once = Owner(0, 1), often = Owner(0, 1);
            for (int i = 0; i < events.Length; i++)
            {
                double[] first = Ask(once, events, i).Values;
                Assert.Equal(first, Ask(often, events, i).Values);
                if (events[i].Time == events.Take(i + 1).Max(e => e.Time)) { Assert.Equal(ExceptExtremes(first), ExceptExtremes(Ask(often, events, i).Values)); }
                _ = Ask(often, events, Math.Max(0, i - 3));
            }
            Assert.Equal(Probe(once, events), Probe(often, events));
        }));

    [Fact]
    public void BehindTheSkew_IsLate_AnsweredAndNotCounted()
    {
        TestEvent[] events = [At(Skew + Micro.Second), At(Micro.Second), At(0), At(Skew + 2 * Micro.Second)];
        EntityShard owner = Owner(0, 1);
        Assert.False(Ask(owner, events, 0).Late);
        Assert.False(Ask(owner, events, 1).Late);
        Assert.True(Ask(owner, events, 2).Late);
        double[] last = Ask(owner, events, 3).Values;
        Assert.Equal(3, last[Place("shop_count_0")]);

        static TestEvent At(long after) => new(TestStream.Start + after, "a", 1) { Shop = "s" };
    }

    [Fact]
    public void SnapshotOfAnOwner_GoesOnWhereItWas()
    {
        TestEvent[] events = [.. Enumerable.Range(0, 200).Select(i => new TestEvent(TestStream.Start + i * Micro.Second, $"c{i % 7}", i) { Shop = $"shop{i % 3}", Fraud = i % 5 == 0 })];
        EntityShard owner = Owner(0, 1), restored = Owner(0, 1);
        for (int i = 0; i < 150; i++)
        {
            _ = Ask(owner, events, i);
            if (events[i].Fraud) { Assert.True(owner.Learn(Batch(events, i), 0, null)); }
        }
        var snapshot = new System.Buffers.ArrayBufferWriter<byte>();
        owner.Save(snapshot);
        restored.Restore(snapshot.WrittenSpan);

        Assert.Equal(owner.Covered(0), restored.Covered(0));
        Assert.False(restored.Learn(Batch(events, 145), 0, null)); // learned before
        _ = Ask(restored, events, 149); // known before
        for (int i = 150; i < 200; i++) { Assert.Equal(Ask(owner, events, i).Values, Ask(restored, events, i).Values); }
    }

    [Fact]
    public void RepeatedLabel_CountsOnce()
    {
        TestEvent[] events = [.. Enumerable.Range(0, 4).Select(i => new TestEvent(TestStream.Start + (i < 3 ? 0 : 2 * Micro.Minute - 1), "a", 1) { Shop = "s" })];
        EntityShard owner = Owner(0, 1);
        for (int i = 0; i < 3; i++) { _ = Ask(owner, events, i); }
        Assert.True(owner.Learn(Batch(events, 0), 0, null));
        Assert.False(owner.Learn(Batch(events, 0), 0, null));
        Assert.Equal(1, Ask(owner, events, 3).Values[Place("shop_label_count_0")]);
    }

    [Fact]
    public void OwnersAndAskersThatDie_LoseNothing() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(80),
        Prop.ForAll(RandomStreams.Genes(100), ArbMap.Default.ArbFor<int>(), (genes, seed) => new Accidents(Sorted(genes, unique: true), new Random(seed)).Run()));

    // ---- how the pieces are put together ----

    internal static EntityShard Owner(int owner, int owners, long epoch = 1, long skew = Skew) => new(s_catalog, owner, owners, Partitions, skew, epoch);

    internal static int PartitionOf(TestEvent e) => FeatureScope.OwnerOf(TestStream.KeyOf(e.Card), Partitions);

    internal static TransactionBatch Batch(IReadOnlyList<TestEvent> events, params int[] indices)
    {
        var batch = new TransactionBatch(TestStream.Schema, Math.Max(1, indices.Length));
        foreach (int i in indices) { TestStream.Put(batch, events[i], i); }
        return batch;
    }

    private static (double[] Values, bool Late) Ask(EntityShard owner, TestEvent[] events, int index)
    {
        double[] values = new double[s_columns.Count];
        bool[] late = new bool[1];
        OwnerReply reply = owner.Ask(new OwnerRequest(0, 1, 0, index + 1), Batch(events, index), values, late);
        Assert.True(reply.IsAccepted);
        return (values, late[0]);
    }

    /// <summary>What an owner says of every shop a moment after the last event.</summary>
    internal static double[] Probe(EntityShard owner, TestEvent[] events)
    {
        long time = events.Max(e => e.Time) + 1;
        TestEvent[] probes = [.. Enumerable.Range(0, 3).Select(i => new TestEvent(time, "probe", 0) { Shop = $"shop{i}" })];
        var batch = new TransactionBatch(TestStream.Schema, 3);
        for (int i = 0; i < 3; i++) { TestStream.Put(batch, probes[i], 1_000_000 + i); }
        double[] values = new double[3 * s_columns.Count];
        Assert.True(owner.Ask(new OwnerRequest(0, long.MaxValue, 0, 0), batch, values, new bool[3]).IsAccepted);
        return values;
    }

    // The smallest, largest and last of a whole history are those of now.
    private static double[] ExceptExtremes(double[] values) =>
        [.. values.Where((_, place) => s_catalog.Features[s_columns.Features[place]] is not { Window: 0, Aggregate: AggregateKind.Min or AggregateKind.Max or AggregateKind.Last or AggregateKind.TimeSinceLast })];

    private static int Place(string feature) => s_columns.Features.ToArray().ToList().FindIndex(i => s_catalog.Features[i].Name == feature);

    private static TestEvent[] Sorted(RandomStreams.Gene[] genes, bool unique)
    {
        TestEvent[] events = [.. RandomStreams.Events(genes).OrderBy(e => e.Time)];
        for (int i = 0; unique && i < events.Length; i++) { events[i] = events[i] with { Time = events[i].Time * 1000 / 1000 + i }; }
        return events;
    }

    // Every partition in its own order, none so far behind that it would be late.
    private static IEnumerable<int> Interleaved(TestEvent[] events, Random random)
    {
        Queue<int>[] queues = [.. Enumerable.Range(0, Partitions).Select(p => new Queue<int>(Enumerable.Range(0, events.Length).Where(i => PartitionOf(events[i]) == p)))];
        while (queues.Any(q => q.Count > 0))
        {
            Queue<int>[] waiting = [.. queues.Where(q => q.Count > 0)];
            long oldest = waiting.Min(q => events[q.Peek()].Time);
            Queue<int>[] allowed = [.. waiting.Where(q => events[q.Peek()].Time - oldest <= Skew)];
            yield return allowed[random.Next(allowed.Length)].Dequeue();
        }
    }

    /// <summary>Three subject engines and three owners; owners are asked in the order of the events, the subjects' own parts follow when it suits them.</summary>
    private static double[][] Sharded(TestEvent[] events)
    {
        FeatureEngine[] subjects = [.. Enumerable.Range(0, Partitions).Select(_ => new FeatureEngine(s_catalog, scope: FeatureScope.Own))];
        EntityShard[] owners = [.. Enumerable.Range(0, Owners).Select(o => Owner(o, Owners))];
        OwnerLink[,] links = new OwnerLink[Partitions, Owners];
        for (int p = 0; p < Partitions; p++) { for (int o = 0; o < Owners; o++) { links[p, o] = new OwnerLink(p, 1, 0); } }
        var views = new double[events.Length][];
        var pending = new List<int>[] { [], [], [] };
        var labels = new List<(long Due, int Event)>();
        long[] sequences = new long[Partitions];
        for (int i = 0; i < events.Length; i++)
        {
            int p = PartitionOf(events[i]);
            // A label comes before it is due: the last moment is the event that would find it so.
            foreach ((long due, int e) in labels.Where(l => l.Due <= events[i].Time).ToArray())
            {
                Learn(e);
                labels.Remove((due, e));
            }
            TransactionBatch batch = Batch(events, i);
            views[i] = new double[s_catalog.Count];
            views[i].AsSpan().Fill(-77);
            s_columns.ScatterAbsent(views[i]);
            ulong mask = s_columns.OwnersOf(batch, 0, Owners);
            long sequence = ++sequences[p];
            for (int o = 0; o < Owners; o++)
            {
                if ((mask >> o & 1) == 0) { continue; }
                double[] values = new double[s_columns.Count];
                OwnerRequest request = links[p, o].Request(sequence);
                Assert.Equal(LinkStep.Answered, links[p, o].OnReply(request, owners[o].Ask(request, batch, values, new bool[1])));
                s_columns.Scatter(batch, 0, o, Owners, values, views[i]);
            }
            pending[p].Add(i);
            if (events[i].Fraud)
            {
                long due = events[i].KnownAt ?? events[i].Time + TestStream.LabelDelay;
                labels.Add((due, i));
            }
            if (i % 5 == 0 || i == events.Length - 1) { for (int s = 0; s < Partitions; s++) { Flush(s); } }
        }
        for (int s = 0; s < Partitions; s++) { Flush(s); }
        return views;

        void Flush(int p)
        {
            foreach (int i in pending[p]) { subjects[p].Build(Batch(events, i), [0], views[i], new bool[1]); }
            pending[p].Clear();
        }

        void Learn(int i)
        {
            int p = PartitionOf(events[i]);
            Flush(p);
            TransactionBatch batch = Batch(events, i);
            subjects[p].Learn(batch, 0, events[i].KnownAt);
            ulong mask = s_columns.OwnersOf(batch, 0, Owners);
            for (int o = 0; o < Owners; o++)
            {
                if ((mask >> o & 1) != 0) { owners[o].Learn(batch, 0, events[i].KnownAt); }
            }
        }
    }

    /// <summary>
    /// Askers and owners that die at any moment, requests and replies that get lost. In the end every owner's state must be
    /// that of one that took every durable transaction once. What is sent again comes late, so the skew is a day here.
    /// </summary>
    private sealed class Accidents(TestEvent[] events, Random random)
    {
        private readonly int[][] _source = [.. Enumerable.Range(0, Partitions).Select(p => Enumerable.Range(0, events.Length).Where(i => PartitionOf(events[i]) == p).ToArray())];
        private readonly int[] _durable = new int[Partitions], _taken = new int[Partitions]; // of the source, in order: in the log, and asked about
        private readonly long[] _askerEpochs = [1, 1, 1];
        private readonly OwnerLink[,] _links = new OwnerLink[Partitions, Owners];
        private readonly EntityShard[] _owners = [.. Enumerable.Range(0, Owners).Select(o => Owner(o, Owners, skew: Micro.Day))];
        private long _epoch = 1;

        public void Run()
        {
            for (int p = 0; p < Partitions; p++) { Open(p); }
            while (Enumerable.Range(0, Partitions).Any(p => _durable[p] < _source[p].Length))
            {
                // The partition whose next event is the oldest, mostly: that keeps within the skew.
                int p = Enumerable.Range(0, Partitions).Where(q => _durable[q] < _source[q].Length).MinBy(q => events[_source[q][_durable[q]]].Time);
                _taken[p] = Math.Min(_source[p].Length, _taken[p] + 1 + random.Next(3));
                for (int o = 0; o < Owners; o++)
                {
                    // An owner that does not answer in time is left out of the decision; its rows go with the next request.
                    if (random.Next(8) != 0) { Catch(p, o, lossy: true); }
                }
                if (random.Next(12) == 0) { Crash(p); continue; }
                _durable[p] = _taken[p];
                if (random.Next(12) == 0) { Rebuild(random.Next(Owners)); }
                if (random.Next(12) == 0) { Crash(random.Next(Partitions)); }
            }
            for (int p = 0; p < Partitions; p++) { for (int o = 0; o < Owners; o++) { Catch(p, o, lossy: false); } }

            for (int o = 0; o < Owners; o++)
            {
                EntityShard expected = Owner(o, Owners, skew: Micro.Day);
                for (int i = 0; i < events.Length; i++) { expected.Take(0, 0, Batch(events, i)); }
                Assert.Equal(Probe(expected, events), Probe(_owners[o], events));
            }
        }

        private void Open(int p)
        {
            for (int o = 0; o < Owners; o++) { _links[p, o] = new OwnerLink(p, _askerEpochs[p], _durable[p]); }
        }

        private void Crash(int p)
        {
            _askerEpochs[p]++;
            _taken[p] = _durable[p];
            Open(p);
        }

        private void Rebuild(int o)
        {
            _owners[o] = Owner(o, Owners, ++_epoch, Micro.Day);
            int[] logged = [.. Enumerable.Range(0, Partitions).SelectMany(p => _source[p].Take(_durable[p])).Order()];
            foreach (int i in logged) { _owners[o].Take(PartitionOf(events[i]), 0, Batch(events, i)); }
            for (int p = 0; p < Partitions; p++) { _owners[o].Take(p, _durable[p], Batch(events)); }
        }

        private void Catch(int p, int o, bool lossy)
        {
            OwnerLink link = _links[p, o];
            for (int tries = 0; tries < 10; tries++)
            {
                OwnerRequest request = link.Request(_taken[p]);
                int[] rows = [.. _source[p][(int)request.From..(int)request.UpTo].Where(i => (s_columns.OwnersOf(Batch(events, i), 0, Owners) >> o & 1) != 0)];
                if (lossy && random.Next(6) == 0) { return; } // the request is lost
                OwnerReply reply = _owners[o].Ask(request, Batch(events, rows), new double[Math.Max(1, rows.Length) * s_columns.Count], new bool[Math.Max(1, rows.Length)]);
                if (lossy && random.Next(6) == 0) { return; } // the reply is
                LinkStep step = link.OnReply(request, reply);
                if (step == LinkStep.Answered) { return; }
                Assert.Equal(LinkStep.Resend, step);
            }
            Assert.Fail("the link does not settle");
        }
    }
}
