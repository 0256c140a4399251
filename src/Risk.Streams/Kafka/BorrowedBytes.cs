using Confluent.Kafka;

namespace Risk.Streams.Kafka;

/// <summary>
/// The bytes of the last key or value that was consumed, in a buffer that is used again. The client library hands
/// librdkafka's memory only to its deserializer and frees it before it returns the message: hence the copy.
/// </summary>
internal sealed class BorrowedBytes : IDeserializer<BorrowedBytes>
{
    private byte[] _buffer = new byte[4096];
    private int _size;

    public ReadOnlySpan<byte> Span => _buffer.AsSpan(0, _size);

    public BorrowedBytes Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context)
    {
        if (_buffer.Length < data.Length)
        {
            _buffer = new byte[Math.Max(data.Length, _buffer.Length * 2)];
        }

        data.CopyTo(_buffer);
        _size = data.Length;
        return this;
    }
}
