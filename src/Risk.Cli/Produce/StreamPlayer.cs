using System.Diagnostics;
using System.Text;
using Risk.Cli.CommandLine;
using Risk.Cli.Verbs;
using Risk.Core.Transactions;
using Risk.Streams;
using Risk.Streams.Kafka;

namespace Risk.Cli.Produce;

/// <summary>What is played, and how.</summary>
/// <param name="LabelsTopic">Null: no labels are sent.</param>
/// <param name="PartitionCount">Of either topic.</param>
/// <param name="TransactionsMax">Sent at most.</param>
/// <param name="StopsAtRejection">The first record that does not parse ends it.</param>
internal sealed record PlayOptions(string Topic, string? LabelsTopic, int PartitionCount, ProducePace Pace, long TransactionsMax, bool StopsAtRejection);

/// <summary>
/// Plays a recorded stream into its topics, in event-time order and at a pace: the clock of the run is event time, and a
/// label is sent when it passes the label's time. What a parser refuses is counted and left out: only transactions go out.
/// </summary>
internal sealed class StreamPlayer(StreamSchema schema, KafkaPublisher publisher, PlayOptions options)
{
    private const int HeldMax = 100_000;
    private const int RejectionsKeptMax = 10;
    private static readonly TimeSpan s_flushStep = TimeSpan.FromMilliseconds(500), s_flushAfterStop = TimeSpan.FromSeconds(10);

    private readonly record struct Played(byte[] Json, byte[]? Key, byte[] Id, EntityKey EventKey);

    private readonly byte[] _keyField = schema.KeyFields.Count > 0 ? Encoding.UTF8.GetBytes(schema.KeyFields[0].Name) : [];
    private readonly EventTimeOrder<Played> _order = new(schema.Grace, HeldMax);
    private readonly SequencedTopic _transactions = new(publisher, options.Topic, options.PartitionCount, new CloudEvents("risk.transaction.v1", $"/risk/{schema.Name}/produce"));
    private readonly SequencedTopic? _labelTopic = options.LabelsTopic is null ? null : new(publisher, options.LabelsTopic, options.PartitionCount, new CloudEvents("risk.label.v1", $"/risk/{schema.Name}/produce"));
    private readonly PlayResult _result = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private long _first = long.MinValue, _latest = long.MinValue;

    private double Elapsed => Stopwatch.GetElapsedTime(_start).TotalSeconds;

    /// <summary>Plays until the source ends, enough is sent, a broker refuses, or it is cancelled; then waits for what is on its way. Does not throw on cancellation.</summary>
    public PlayResult Play(StreamInput input, TransactionParser parser, ProgressReport progress, CancellationToken cancellation)
    {
        DueLabels? labels = _labelTopic is null ? null : new DueLabels(schema, input.Labels!);
        try
        {
            Read(input.Source, parser, labels, progress, cancellation);
        }
        catch (OperationCanceledException)
        {
            _result.IsInterrupted = true;
        }

        _result.Failure = input.Source.Failure;
        Settle(progress, cancellation);
        _result.Seconds = Elapsed;
        _result.Take(_transactions, _labelTopic, labels);
        return _result;
    }

    private void Read(FileTransactionSource source, TransactionParser parser, DueLabels? labels, ProgressReport progress, CancellationToken cancellation)
    {
        RecordJson json = source.CreateJson();
        var row = new TransactionBatch(schema, 1);
        // What the engine would refuse for lying in the future, it refuses by the clock.
        long now = Micro.FromDateTimeOffset(TimeProvider.System.GetUtcNow());
        while (!IsOver && source.TryRead(out SourceRecord record))
        {
            cancellation.ThrowIfCancellationRequested();
            row.Clear();
            Rejection rejection = default;
            if (record.Problem != ErrorCode.None) { rejection = parser.Reject(record.Bytes, record.LineNumber, record.Problem); }
            if (record.Problem != ErrorCode.None || parser.Parse(record.Bytes, record.LineNumber, now, row, out rejection) != ErrorCode.None)
            {
                _result.Reject(rejection, RejectionsKeptMax);
                if (options.StopsAtRejection) { break; }
                continue;
            }

            byte[] message = json.Of(record.Bytes);
            _order.Add(new Played(message, KeyOf(message), row.EventId(0).ToArray(), row.EventKeys[0]), row.EventTimes[0]);
            SendReady(labels, progress, cancellation);
        }

        _order.End();
        SendReady(labels, progress, cancellation);
    }

    private bool IsOver => _result.Sent >= options.TransactionsMax || _transactions.Refusal is not null || _labelTopic?.Refusal is not null;

    private void SendReady(DueLabels? labels, ProgressReport progress, CancellationToken cancellation)
    {
        while (!IsOver && _order.TryTake(out Played played, out long time))
        {
            if (_first == long.MinValue) { _first = time; }
            while (labels is not null && labels.TryTake(time, out LabelMessage label))
            {
                Wait(_result.Sent, label.DueMicros, progress, cancellation);
                _labelTopic!.Send(label.Partition, label.Key, label.Json, label.EventId, label.DueMicros, cancellation);
            }

            Wait(_result.Sent, time, progress, cancellation);
            int partition = played.Key is null ? 0 : KafkaPartitioner.Of(played.Key, options.PartitionCount);
            _transactions.Send(partition, played.Key, played.Json, played.Id, time, cancellation);
            _result.Sent++;
            _result.OutOfOrder += time < _latest ? 1 : 0;
            _latest = Math.Max(_latest, time);
            labels?.Note(played.EventKey, played.Id, time, partition, played.Key);
            progress.Done = _result.Sent;
        }
    }

    private void Wait(long number, long timeMicros, ProgressReport progress, CancellationToken cancellation)
    {
        double due = options.Pace.DueSeconds(number, timeMicros - _first);
        if (due == 0) { return; }
        double ahead;
        while ((ahead = due - Elapsed) > 0)
        {
            if (ahead > 1) { progress.Note = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"next in {ahead:N0} s, at {Micro.ToIso8601(timeMicros)}"); }
            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(Math.Clamp(ahead, 0.001, 0.5)));
            cancellation.ThrowIfCancellationRequested();
        }

        progress.Note = "";
        _result.BehindMaxSeconds = Math.Max(_result.BehindMaxSeconds, -ahead);
    }

    // Without brokers the messages wait, without end, as the publisher does; Ctrl-C ends that too.
    private void Settle(ProgressReport progress, CancellationToken cancellation)
    {
        long end = long.MaxValue;
        while (!publisher.Flush(s_flushStep))
        {
            progress.Note = publisher.BrokerDownSince is { } since ? $"no broker since {since:O}" : $"{publisher.InFlight} on their way";
            _result.IsInterrupted |= cancellation.IsCancellationRequested;
            if (_result.IsInterrupted) { end = Math.Min(end, Environment.TickCount64 + (long)s_flushAfterStop.TotalMilliseconds); }
            if (Environment.TickCount64 >= end || publisher.Failure is not null) { break; }
        }

        _result.Unconfirmed = publisher.InFlight;
        _result.Failure ??= publisher.Failure;
    }

    private byte[]? KeyOf(ReadOnlySpan<byte> json)
    {
        if (_keyField.Length == 0) { return null; }
        Span<byte> scratch = stackalloc byte[MessageKey.ScratchSize];
        ReadOnlySpan<byte> key = MessageKey.Of(json, _keyField, scratch);
        return key.IsEmpty ? null : key.ToArray();
    }
}
