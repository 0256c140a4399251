using System.Buffers.Binary;

namespace Risk.Streams.Kafka;

/// <summary>
/// To which partition a key belongs: murmur2 of its bytes, as the Java client's default partitioner and librdkafka's
/// <c>murmur2_random</c> have it, so that whoever writes into a topic agrees. Source: murmur2 in
/// https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/utils/Utils.java.
/// </summary>
public static class KafkaPartitioner
{
    /// <summary>The name that librdkafka has for this function.</summary>
    internal const string Name = "murmur2_random";

    private const uint Multiplier = 0x5bd1e995;
    private const int Rotation = 24;
    private const uint Seed = 0x9747b28c;

    /// <summary>The partition, from 0, of a key among <paramref name="count"/> partitions.</summary>
    public static int Of(ReadOnlySpan<byte> key, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return (int)((Murmur2(key) & 0x7fffffff) % (uint)count);
    }

    internal static uint Murmur2(ReadOnlySpan<byte> bytes)
    {
        uint hash = Seed ^ (uint)bytes.Length;
        while (bytes.Length >= sizeof(uint))
        {
            uint word = BinaryPrimitives.ReadUInt32LittleEndian(bytes) * Multiplier;
            word = (word ^ (word >> Rotation)) * Multiplier;
            hash = (hash * Multiplier) ^ word;
            bytes = bytes[sizeof(uint)..];
        }

        if (bytes.Length > 0)
        {
            for (int index = 0; index < bytes.Length; index++)
            {
                hash ^= (uint)bytes[index] << (8 * index);
            }

            hash *= Multiplier;
        }

        hash = (hash ^ (hash >> 13)) * Multiplier;
        return hash ^ (hash >> 15);
    }
}
