using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Risk.Core.Log;
using Risk.Core.Transactions;

namespace Risk.Storage.Log;

/// <summary>
/// Outcomes that became known, one after the other in a file that only grows. Opened for each call: labels come seldom and in
/// batches, and several processes may add them in turn.
/// <code>record, 32 bytes little-endian: event key u64 high, u64 low; known at i64; is positive u8, known at is there u8, 0 u16; CRC-32C u32 of all before</code>
/// A torn tail is no label: nobody was told that it was kept.
/// </summary>
internal sealed class LabelJournal(string folder)
{
    private const int RecordBytes = 32;
    private const int CrcAt = RecordBytes - sizeof(uint);

    private string FilePath { get; } = Path.Combine(folder, "labels");

    /// <summary>Adds labels; durable on return.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_IN_USE</c> (retriable): another call is adding; <c>LOG_CORRUPT</c>.</exception>
    /// <exception cref="IOException">The disk failed.</exception>
    public void Add(IReadOnlyList<Label> labels)
    {
        Directory.CreateDirectory(folder);
        bool isNew = !File.Exists(FilePath);
        using FileStream turn = TakeTurn();
        using SafeFileHandle file = File.OpenHandle(FilePath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        // Over a torn tail: what lies behind the last whole record was never acknowledged.
        long end = ReadAll(file, null) * RecordBytes;
        byte[] bytes = new byte[labels.Count * RecordBytes];
        for (int i = 0; i < labels.Count; i++)
        {
            Write(labels[i], bytes.AsSpan(i * RecordBytes, RecordBytes));
        }

        RandomAccess.SetLength(file, end);
        RandomAccess.Write(file, bytes, end);
        RandomAccess.FlushToDisk(file);
        if (isNew)
        {
            Posix.SyncDirectory(folder);
        }
    }

    /// <summary>All labels in order; none when there is no file.</summary>
    public IReadOnlyList<Label> Read()
    {
        var labels = new List<Label>();
        if (File.Exists(FilePath))
        {
            using SafeFileHandle file = File.OpenHandle(FilePath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            ReadAll(file, labels);
        }

        return LabelSequence.WithoutRepeats(labels);
    }

    private static void Write(in Label label, Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, label.EventKey.High);
        BinaryPrimitives.WriteUInt64LittleEndian(to[8..], label.EventKey.Low);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], label.KnownAt ?? 0);
        to[24] = label.IsPositive ? (byte)1 : (byte)0;
        to[25] = label.KnownAt is null ? (byte)0 : (byte)1;
        BinaryPrimitives.WriteUInt32LittleEndian(to[CrcAt..], JournalFormat.Crc(to[..CrcAt]));
    }

    private static Label Read(ReadOnlySpan<byte> from) => new(
        new EntityKey(BinaryPrimitives.ReadUInt64LittleEndian(from), BinaryPrimitives.ReadUInt64LittleEndian(from[8..])),
        from[24] == 1,
        from[25] == 1 ? BinaryPrimitives.ReadInt64LittleEndian(from[16..]) : null);

    /// <summary>A lock of its own: one on the labels would keep readers out.</summary>
    private FileStream TakeTurn()
    {
        try
        {
            return new FileStream(FilePath + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new DecisionLogException(LogCodes.InUse, $"Another process is adding to {FilePath}: try again.", isRetriable: true, e);
        }
    }

    /// <summary>Counts the whole records, and takes them when there is a list for it.</summary>
    private long ReadAll(SafeFileHandle file, List<Label>? labels)
    {
        byte[] buffer = new byte[2048 * RecordBytes];
        long count = 0;
        long firstBad = -1;
        long total = RandomAccess.GetLength(file) / RecordBytes;
        for (long at = 0; at < total; at += buffer.Length / RecordBytes)
        {
            int records = (int)Math.Min(buffer.Length / RecordBytes, total - at);
            RandomAccess.Read(file, buffer.AsSpan(0, records * RecordBytes), at * RecordBytes);
            for (int i = 0; i < records; i++)
            {
                ReadOnlySpan<byte> record = buffer.AsSpan(i * RecordBytes, RecordBytes);
                bool isWhole = BinaryPrimitives.ReadUInt32LittleEndian(record[CrcAt..]) == JournalFormat.Crc(record[..CrcAt]);
                if (!isWhole)
                {
                    firstBad = firstBad < 0 ? at + i : firstBad;
                }
                else if (firstBad >= 0)
                {
                    throw new DecisionLogException(LogCodes.Corrupt, $"{FilePath} is damaged at record {firstBad}: restore it from a backup, and add the labels since then again.");
                }
                else
                {
                    count++;
                    labels?.Add(Read(record));
                }
            }
        }

        return count;
    }
}
