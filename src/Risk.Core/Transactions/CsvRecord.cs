namespace Risk.Core.Transactions;

/// <summary>The cells of one CSV record, as places in its bytes; reused from record to record.</summary>
public sealed class CsvRecord(int columnsExpected)
{
    // A cell with doubled quotes cannot be a slice of the record: its text is in _unquoted.
    private readonly record struct Cell(int Start, int Size, bool IsUnquoted);

    private readonly Cell[] _cells = new Cell[columnsExpected];
    private byte[] _unquoted = [];
    private int _unquotedSize;

    /// <summary>Cells of the last record; also those past the expected ones, which are counted but not kept.</summary>
    public int Count { get; private set; }

    /// <summary>A cell's text; <paramref name="record"/> is the one that was split.</summary>
    public ReadOnlySpan<byte> Column(ReadOnlySpan<byte> record, int column)
    {
        Cell cell = _cells[column];
        return cell.IsUnquoted ? _unquoted.AsSpan(cell.Start, cell.Size) : record.Slice(cell.Start, cell.Size);
    }

    /// <summary>Finds the cells. False when quotes are not as RFC 4180 has them (one opened and not closed, text after a closing one, one within a bare cell).</summary>
    public bool TrySplit(ReadOnlySpan<byte> record)
    {
        Count = 0;
        return record.Contains((byte)'"') ? TrySplitQuoted(record) : SplitBare(record);
    }

    private bool SplitBare(ReadOnlySpan<byte> record)
    {
        int start = 0;
        while (true)
        {
            int size = record[start..].IndexOf((byte)',');
            if (size < 0)
            {
                Add(new Cell(start, record.Length - start, false));
                return true;
            }

            Add(new Cell(start, size, false));
            start += size + 1;
        }
    }

    private bool TrySplitQuoted(ReadOnlySpan<byte> record)
    {
        _unquotedSize = 0;
        int at = 0;
        while (true)
        {
            int end;
            if (at < record.Length && record[at] == '"')
            {
                end = AddQuoted(record, at + 1);
                if (end < 0)
                {
                    return false;
                }
            }
            else
            {
                int size = record[at..].IndexOf((byte)',');
                end = size < 0 ? record.Length : at + size;
                if (record[at..end].Contains((byte)'"'))
                {
                    return false;
                }

                Add(new Cell(at, end - at, false));
            }

            if (end == record.Length)
            {
                return true;
            }

            at = end + 1;
        }
    }

    // From behind the opening quote; gives the place of the comma or the record's end, −1 when there is neither behind a closing quote.
    private int AddQuoted(ReadOnlySpan<byte> record, int start)
    {
        int at = start;
        bool doubled = false;
        while (true)
        {
            int size = record[at..].IndexOf((byte)'"');
            if (size < 0)
            {
                return -1;
            }

            at += size + 1;
            if (at < record.Length && record[at] == '"')
            {
                doubled = true;
                at++;
                continue;
            }

            break;
        }

        if (at < record.Length && record[at] != ',')
        {
            return -1;
        }

        Add(doubled ? Unquote(record[start..(at - 1)]) : new Cell(start, at - 1 - start, false));
        return at;
    }

    private Cell Unquote(ReadOnlySpan<byte> text)
    {
        if (_unquoted.Length < _unquotedSize + text.Length)
        {
            Array.Resize(ref _unquoted, Math.Max(_unquoted.Length * 2, _unquotedSize + text.Length));
        }

        int start = _unquotedSize;
        for (int at = 0; at < text.Length; at++)
        {
            _unquoted[_unquotedSize++] = text[at];
            at += text[at] == '"' ? 1 : 0;
        }

        return new Cell(start, _unquotedSize - start, true);
    }

    private void Add(Cell cell)
    {
        if (Count < _cells.Length)
        {
            _cells[Count] = cell;
        }

        Count++;
    }
}
