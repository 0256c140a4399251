using Risk.Core;
using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>
/// Cuts bytes into records at line ends (LF or CR LF); lines of nothing but white space are passed over. In a CSV stream
/// with free texts a quoted cell may hold line breaks. Quotes that do not fit (one never closed, text behind a closing
/// one) end with their own line, so that one bad line costs no other.
/// </summary>
internal sealed class RecordSplitter(ReadAhead source)
{
    // Room for the longest record with as much again behind it, so that its bytes are moved seldom.
    private readonly byte[] _buffer = new byte[4 * Limits.RecordSizeMax];
    private int _start, _end;
    private long _linesBehind;
    private bool _ended, _tailSaid;

    /// <summary>Cells in quotes may hold line breaks.</summary>
    public bool QuotedLineBreaks { get; set; }

    private ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Neither a whole record nor more bytes are at hand.</summary>
    public bool WouldWait => !_ended && source.WouldWait && !Buffered.Contains((byte)'\n');

    /// <summary>The first byte that is neither white space nor byte order mark, for telling the format; 0 where there is none near.</summary>
    public byte Peek()
    {
        while (!_ended && Buffered.Length < 4)
        {
            Fill();
        }

        ReadOnlySpan<byte> text = Buffered.TrimStart("\uFEFF \t\r\n"u8);
        return text.Length > 0 ? text[0] : (byte)0;
    }

    /// <summary>The next record; false at the end.</summary>
    public bool TryRead(out SourceRecord record)
    {
        while (true)
        {
            ReadOnlySpan<byte> buffered = Buffered;
            int size = QuotedLineBreaks ? buffered.IndexOfAny((byte)'\n', (byte)'"') : buffered.IndexOf((byte)'\n');
            if (size >= 0 && buffered[size] == '"')
            {
                size = QuotedSize(buffered);
            }

            if (size < 0)
            {
                if (!_ended && buffered.Length <= Limits.RecordSizeMax)
                {
                    Fill();
                    continue;
                }

                if (buffered.Length > Limits.RecordSizeMax)
                {
                    return Overlong(out record);
                }

                return Tail(out record);
            }

            ReadOnlySpan<byte> line = buffered[..size];
            long number = _linesBehind + 1;
            _start += size + 1;
            _linesBehind += 1 + (QuotedLineBreaks ? line.Count((byte)'\n') : 0);
            if (line.Length > 0 && line[^1] == '\r')
            {
                line = line[..^1];
            }

            if (IsBlank(line))
            {
                continue;
            }

            record = line.Length > Limits.RecordSizeMax
                ? new SourceRecord(line[..Limits.RecordSizeMax], number, ErrorCode.TooLarge)
                : new SourceRecord(line, number, ErrorCode.None);
            return true;
        }
    }

    // The bytes of a record with quotes, up to its line end; −1 when the end is not in the buffer yet.
    private int QuotedSize(ReadOnlySpan<byte> buffered)
    {
        int size = CsvRecordEnd(buffered, out bool fits);
        if (fits && size >= 0)
        {
            return size;
        }

        bool mayStillFit = fits && !_ended && buffered.Length <= Limits.RecordSizeMax;
        return mayStillFit ? -1 : buffered.IndexOf((byte)'\n');
    }

    // Walks the cells of RFC 4180. −1: the buffer ends first. `fits` is false where the quotes are wrong.
    private static int CsvRecordEnd(ReadOnlySpan<byte> text, out bool fits)
    {
        fits = true;
        int at = 0;
        while (at < text.Length)
        {
            if (text[at] == '"')
            {
                at = ClosingQuote(text, at + 1);
                if (at < 0 || at + 1 == text.Length)
                {
                    return -1;
                }

                at++;
                if (text[at] == '\r' && at + 1 < text.Length && text[at + 1] == '\n')
                {
                    at++;
                }

                if (text[at] is not ((byte)',' or (byte)'\n'))
                {
                    fits = text[at] == '\r' && at + 1 == text.Length;
                    return -1;
                }
            }
            else
            {
                int size = text[at..].IndexOfAny((byte)',', (byte)'\n');
                if (size < 0)
                {
                    return -1;
                }

                at += size;
            }

            if (text[at] == '\n')
            {
                return at;
            }

            at++;
        }

        return -1;
    }

    private static int ClosingQuote(ReadOnlySpan<byte> text, int at)
    {
        while (true)
        {
            int size = text[at..].IndexOf((byte)'"');
            if (size < 0)
            {
                return -1;
            }

            at += size;
            if (at + 1 >= text.Length || text[at + 1] != '"')
            {
                return at;
            }

            at += 2;
        }
    }

    // More than a record may have and no line end in sight: what is there is kept, the rest of the line passed over.
    private bool Overlong(out SourceRecord record)
    {
        var kept = new byte[Limits.RecordSizeMax];
        Buffered[..kept.Length].CopyTo(kept);
        long number = ++_linesBehind;
        while (true)
        {
            int size = Buffered.IndexOf((byte)'\n');
            if (size >= 0)
            {
                _start += size + 1;
                break;
            }

            _start = _end;
            if (_ended)
            {
                _tailSaid = true;
                break;
            }

            Fill();
        }

        record = new SourceRecord(kept, number, ErrorCode.TooLarge);
        return true;
    }

    // The last line has no line end. A damaged source leaves one record that says so; of one that could not be read to
    // its end the last piece is no record.
    private bool Tail(out SourceRecord record)
    {
        bool cut = source.Fault is ErrorCode.ParseError or ErrorCode.TooLarge;
        ReadOnlySpan<byte> tail = Buffered;
        if (!cut && tail.Length > 0 && tail[^1] == '\r')
        {
            tail = tail[..^1];
        }

        _start = _end;
        if (_tailSaid || (!cut && (IsBlank(tail) || source.Fault != ErrorCode.None)))
        {
            record = default;
            return false;
        }

        _tailSaid = true;
        record = new SourceRecord(tail, ++_linesBehind, cut ? source.Fault : ErrorCode.None);
        return true;
    }

    private void Fill()
    {
        if (_start > 0)
        {
            Buffered.CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        int size = source.Read(_buffer.AsSpan(_end));
        _end += size;
        _ended = size == 0;
    }

    private static bool IsBlank(ReadOnlySpan<byte> line) => line.Length == 0 || (line[0] <= ' ' && line.IndexOfAnyExcept(" \t\r"u8) < 0);
}
