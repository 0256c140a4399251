using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>One record of a source, borrowed until the next read.</summary>
public readonly ref struct SourceRecord
{
    internal SourceRecord(ReadOnlySpan<byte> bytes, long lineNumber, ErrorCode problem)
    {
        Bytes = bytes;
        LineNumber = lineNumber;
        Problem = problem;
    }

    /// <summary>The record without its line end; of one that is too long only its first <see cref="Risk.Core.Limits.RecordSizeMax"/> bytes.</summary>
    public ReadOnlySpan<byte> Bytes { get; }

    /// <summary>The line on which it begins, from 1; a CSV header is a line.</summary>
    public long LineNumber { get; }

    /// <summary>What the source already found wrong with it (too long, cut off); then it is not to be parsed but rejected with this code.</summary>
    public ErrorCode Problem { get; }
}

/// <summary>How the records of a source are written.</summary>
public enum RecordFormat { Csv, JsonLines }

/// <summary>By what a source is recognised when a run goes on: nothing of it may have changed.</summary>
/// <param name="Name">File name without its folder, <c>-</c> for standard input.</param>
/// <param name="Size">Bytes as stored, −1 where unknown.</param>
/// <param name="Beginning">SHA-256 of the first 4 KiB as stored.</param>
public readonly record struct SourceIdentity(string Name, long Size, Sha256Digest Beginning);

/// <summary>A source of transactions that is read record by record, in its own order. Not thread-safe.</summary>
public interface ITransactionSource : IDisposable
{
    SourceIdentity Identity { get; }

    /// <summary>Bytes read so far of <see cref="SourceIdentity.Size"/>, as stored (compressed); for progress.</summary>
    long BytesRead { get; }

    /// <summary>The next record can only be had by waiting for the source; a started batch should not wait with it.</summary>
    bool WouldWait { get; }

    /// <summary>Why reading ended before the source did, when the outside world failed; null at a regular end.</summary>
    CodedError? Failure { get; }

    /// <summary>The next record; waits for it. False at the end; see <see cref="Failure"/>.</summary>
    bool TryRead(out SourceRecord record);

    /// <summary>Passes over every record up to and including that line. False when the source ends before.</summary>
    bool SkipTo(long lineNumber);
}
