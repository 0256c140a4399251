using System.Collections.Concurrent;
using System.Text;
using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

/// <summary>One member of a group, on a thread of its own: a consumer and a host that writes down what it is told.</summary>
internal sealed class TestMember : IKafkaPartitions, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private long _idles;
    private volatile Exception? _failure;

    public TestMember(TestBroker broker, string topic, params (string Name, string Value)[] properties)
    {
        Consumer = new KafkaConsumer(broker.Settings(properties), topic, this);
        _thread = new Thread(Run) { IsBackground = true };
    }

    public KafkaConsumer Consumer { get; }

    /// <summary>Where an assigned partition goes on; null: the test starts it. Default: its beginning.</summary>
    public Func<int, long?> StartAt { get; set; } = _ => -1;

    /// <summary>What happens to a message besides being written down.</summary>
    public Action<int, long>? OnReceived { get; set; }

    public Action<int>? OnRevoked { get; set; }

    public ConcurrentDictionary<int, bool> Owned { get; } = new();
    public ConcurrentQueue<(int Partition, long Offset, string Value)> Messages { get; } = new();
    public ConcurrentQueue<string> Events { get; } = new();

    /// <summary>Of each message what CloudEvents calls type and source; empty where it does not say.</summary>
    public ConcurrentQueue<(string Type, string Source)> Origins { get; } = new();
    public ConcurrentQueue<(int Partition, CodedError Error)> Failures { get; } = new();
    public ConcurrentQueue<(int Partition, long Offset, long Missing)> Gaps { get; } = new();

    public long Idles => Interlocked.Read(ref _idles);
    public Exception? Failure => _failure;

    public TestMember Started()
    {
        _thread.Start();
        return this;
    }

    /// <summary>Waits for a condition; a member that ended early, or one that does not get there, fails with what it saw.</summary>
    public void Until(Func<bool> condition, string what)
    {
        bool held = SpinWait.SpinUntil(() => { Thread.Sleep(5); return condition() || _failure is not null; }, TestBroker.Patience);
        Assert.True(held && _failure is null, $"not in time: {what}; {_failure} {string.Join(", ", Events)}; {Messages.Count} messages; {Consumer.LastError}; {string.Join(", ", Consumer.Lags())}");
    }

    /// <summary>Leaves the group as a process that ends in order does.</summary>
    public void Stop()
    {
        _stop.Cancel();
        if (_thread.IsAlive)
        {
            Assert.True(_thread.Join(TestBroker.Patience), "the consumer did not end in time");
        }
    }

    public void Dispose()
    {
        Stop();
        Consumer.Dispose();
        _stop.Dispose();
    }

    public void Assigned(int partition)
    {
        Events.Enqueue($"assigned {partition}");
        Owned[partition] = true;
        if (StartAt(partition) is { } offset)
        {
            Consumer.Start(partition, offset);
        }
    }

    public void Revoked(int partition)
    {
        OnRevoked?.Invoke(partition);
        Events.Enqueue($"revoked {partition}");
        Owned.TryRemove(partition, out _);
    }

    public void Lost(int partition)
    {
        Events.Enqueue($"lost {partition}");
        Owned.TryRemove(partition, out _);
    }

    public void Received(int partition, in KafkaMessage message)
    {
        Origins.Enqueue((Header(message, CloudEvents.TypeHeader), Header(message, CloudEvents.SourceHeader)));
        Messages.Enqueue((partition, message.Offset, Encoding.UTF8.GetString(message.Value)));
        OnReceived?.Invoke(partition, message.Offset);
    }

    public void Failed(int partition, CodedError error) => Failures.Enqueue((partition, error));

    public void SourceGap(int partition, long offset, long missing) => Gaps.Enqueue((partition, offset, missing));

    public void Idle() => Interlocked.Increment(ref _idles);

    private static string Header(in KafkaMessage message, string name) => message.TryHeader(name, out ReadOnlySpan<byte> value) ? Encoding.UTF8.GetString(value) : "";

    private void Run()
    {
        try
        {
            Consumer.Run(_stop.Token);
        }
        catch (Exception exception)
        {
            _failure = exception;
        }
    }
}
