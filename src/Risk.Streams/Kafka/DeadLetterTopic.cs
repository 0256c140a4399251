using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Risk.Core.Transactions;

namespace Risk.Streams.Kafka;

/// <summary>
/// The dead letters of one partition, into the topic of dead letters: one JSON object a message with topic, partition,
/// offset, code, field and a hash by which the record is found again; never a value of it. While the topic cannot be
/// written <see cref="Flush"/> throws, keeps what it has, and is to be called again: the partition waits, nothing is passed
/// over. A letter may be there twice after a crash, told by its id (topic/partition/offset). Not thread-safe.
/// </summary>
/// <param name="publisher">Shared with others; not disposed of here.</param>
/// <param name="topics">The records come from its transactions; the letters go into the partition of the same number.</param>
/// <param name="stream">Who writes them, for the headers.</param>
/// <param name="patience">How long one <see cref="Flush"/> waits for the broker; default 5 s.</param>
public sealed class DeadLetterTopic(KafkaPublisher publisher, KafkaTopics topics, int partition, string stream, TimeSpan? patience = null) : IDeadLetters
{
    // More than this is not held back in memory: the source must wait for the topic.
    private const int UnsentMax = 1000;

    private readonly CloudEvents _events = new("risk.dead-letter.v1", $"/risk/{stream}");

    private sealed class Letter(byte[] value, byte[] id, long timeMicros)
    {
        public byte[] Value { get; } = value;
        public byte[] Id { get; } = id;
        public long TimeMicros { get; } = timeMicros;
        public volatile bool IsAccepted;
        public volatile bool IsDelivered;
        public volatile Tuple<CodedError>? Refusal;
    }

    private readonly TimeSpan _patience = patience ?? TimeSpan.FromSeconds(5);
    private readonly List<Letter> _letters = [];
    private readonly ArrayBufferWriter<byte> _buffer = new();

    /// <summary>Letters acknowledged by the broker so far.</summary>
    public long Count { get; private set; }

    /// <summary>Letters that wait for the broker; the alarm's figure.</summary>
    public int Waiting => _letters.Count;

    /// <inheritdoc/>
    /// <param name="source">Not looked at: the place in the topic says it all.</param>
    public void Append(in Rejection rejection, DeadLetterSource source)
    {
        _buffer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(_buffer))
        {
            json.WriteStartObject();
            json.WriteString("topic", topics.Transactions);
            json.WriteNumber("partition", partition);
            json.WriteNumber("offset", rejection.SourceOffset);
            json.WriteString("code", rejection.Code.Text());
            if (rejection.Field is { } field)
            {
                json.WriteString("field", field);
            }

            json.WriteString(rejection.IsKeyed ? "payloadHmacSha256" : "payloadSha256", rejection.PayloadHash.ToString());
            json.WriteEndObject();
        }

        byte[] id = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{topics.Transactions}/{partition}/{rejection.SourceOffset}"));
        _letters.Add(new Letter(_buffer.WrittenSpan.ToArray(), id, (long)(DateTime.UtcNow - DateTime.UnixEpoch).TotalMicroseconds));
        if (_letters.Count >= UnsentMax)
        {
            Flush(durable: true);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The broker did not acknowledge in time, or refused; the message begins with the code. Call again later.</exception>
    public void Flush(bool durable)
    {
        long end = Environment.TickCount64 + (long)_patience.TotalMilliseconds;
        Send();
        if (!durable)
        {
            return;
        }

        // A letter that the broker once has must not be sent again: each keeps its own state from one call to the next.
        while (_letters.Count > 0)
        {
            int delivered = _letters.RemoveAll(static letter => letter.IsDelivered);
            Count += delivered;
            if (_letters.Find(static letter => letter.Refusal is not null) is { Refusal.Item1: var refusal } refused)
            {
                refused.Refusal = null;
                refused.IsAccepted = false;
                throw new IOException(refusal.ToString());
            }

            if (publisher.Failure is { } ended)
            {
                throw new IOException(ended.ToString());
            }

            if (_letters.Count > 0 && Environment.TickCount64 >= end)
            {
                throw new IOException(new CodedError(ErrorCode.KafkaUnavailable,
                    $"topic {topics.DeadLetters} acknowledged none of {_letters.Count} dead letters within {_patience.TotalSeconds:0.#} s; partition {partition} of {topics.Transactions} waits for it").ToString());
            }

            if (delivered == 0 && _letters.Count > 0)
            {
                Thread.Sleep(1);
                Send();
            }
        }
    }

    /// <summary>Forgets what is waiting; the records will be read again.</summary>
    public void Dispose() => _letters.Clear();

    private void Send()
    {
        foreach (Letter letter in _letters)
        {
            if (letter.IsAccepted)
            {
                continue;
            }

            letter.IsAccepted = true;
            bool accepted = publisher.TryPublish(topics.DeadLetters, partition, null, letter.Value, _events.Of(letter.Id, letter.TimeMicros, default), error =>
            {
                if (error is { } refusal)
                {
                    letter.Refusal = Tuple.Create(refusal);
                }
                else
                {
                    letter.IsDelivered = true;
                }
            });
            if (!accepted)
            {
                letter.IsAccepted = false;
                return;
            }
        }
    }
}
