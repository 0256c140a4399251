using System.Collections.Concurrent;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Service.Serving;

/// <summary>
/// The topic of labels: each outcome is kept in the store first, durably, and then told to the partition's shard. Labels are
/// keyed as their transactions are, so that both are in partitions of one number.
/// </summary>
internal sealed class LabelFeed : IDisposable
{
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(50);

    // A partition while it is owned here: its store, and the positives that the store has.
    private sealed record Followed(IDecisionStore Store, HashSet<EntityKey> Known);

    private readonly ServeHost _host;
    private readonly LabelParser _parser;
    private readonly KafkaFollower _follower;
    private readonly ConcurrentDictionary<int, Followed> _followed = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;

    public LabelFeed(ServeHost host, KafkaSettings settings, string topic)
    {
        _host = host;
        _parser = LabelParser.ForJson(host.Definition.Schema, host.Keys);
        _follower = new KafkaFollower(settings, topic, Received, (partition, from) =>
        {
            // A label that is known changes nothing, so that, unlike transactions, the topic can be read again from its beginning.
            string code = ErrorCode.LabelGap.Text();
            host.Counters.Fault(code);
            ServeLog.Write("error", code, $"topic {topic}, partition {partition}: offset {from} is gone, labels from there on may never have been read; what is there is read from its beginning. Send what is missing again, or all of it: known labels change nothing");
        });
        _thread = new Thread(() => _follower.Run(_stop.Token)) { Name = "risk labels", IsBackground = true };
        _thread.Start();
    }

    /// <summary>A shard was opened: what its store has, and from where its labels go on.</summary>
    public void Follow(int partition, IDecisionStore store, LiveLabels kept, long from)
    {
        var known = new HashSet<EntityKey>();
        for (int i = 0; i < kept.Count; i++) { known.Add(kept[i].EventKey); }
        _followed[partition] = new Followed(store, known);
        _follower.Follow(partition, from);
    }

    public void Unfollow(int partition)
    {
        _followed.TryRemove(partition, out _);
        _follower.Unfollow(partition);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _thread.Join();
        _follower.Dispose();
        _stop.Dispose();
    }

    private void Received(int partition, in KafkaMessage message)
    {
        if (!_followed.TryGetValue(partition, out Followed? followed)) { return; }
        Label[] labels = [];
        Rejection? refused = null;
        if (_parser.Parse(message.Value, message.Offset, out Label label, out Rejection rejection) != ErrorCode.None) { refused = rejection; }
        else if (label.IsPositive && !followed.Known.Contains(label.EventKey))
        {
            labels = [label];
            if (!TryKeep(followed, partition, labels)) { return; }
            followed.Known.Add(label.EventKey);
        }
        else { return; }
        while (!_stop.IsCancellationRequested && _host.Partition(partition)?.Learn(labels, refused, message.Offset + 1) == Intake.Full) { Thread.Sleep(1); }
        // One that is not being served is opened again later, with everything that the store has.
    }

    private bool TryKeep(Followed followed, int partition, Label[] labels)
    {
        while (!_stop.IsCancellationRequested && _followed.TryGetValue(partition, out Followed? current) && current == followed)
        {
            try
            {
                followed.Store.AddLabels(partition, labels);
                return true;
            }
            catch (IOException failure)
            {
                (string code, string sentence) = ServeFaults.Explain(failure);
                _host.Counters.Fault(code);
                ServeLog.Write("warning", code, $"labels of partition {partition}: {sentence}");
                _stop.Token.WaitHandle.WaitOne(s_retry);
            }
        }
        return false;
    }
}
