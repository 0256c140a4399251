using Risk.Core.Features;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Streams;

namespace Risk.Cli.Verbs;

/// <summary>What <c>risk features</c> wrote.</summary>
internal sealed record TrainingSet(long Transactions, long Rows, long DeadLetters, long Duplicates, long Positives, TimeSpan Elapsed)
{
    private const int BatchSize = 512;

    /// <summary>Runs the source through the feature engine and writes the rows with event times in [from, to); doubles round-trip, missing is empty.</summary>
    public static TrainingSet Write(FeatureCatalog catalog, StreamInput input, TransactionParser parser, long from, long to, string path, Action<long> progress, CancellationToken cancellation)
    {
        long started = TimeProvider.System.GetTimestamp();
        var engine = new FeatureEngine(catalog, input.Labels is null ? null : new FileLabels(input.Labels));
        var known = new Deduplicator();
        var batch = new TransactionBatch(catalog.Schema, BatchSize);
        int[] rows = new int[BatchSize];
        bool[] late = new bool[BatchSize];
        double[] views = new double[BatchSize * catalog.Count];
        long transactions = 0, written = 0, rejected = 0, duplicates = 0, positives = 0;
        string unfinished = path + ".unfinished";
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using (var csv = new CsvRows(unfinished))
        {
            csv.Header(["transaction_id", "time", .. catalog.Features.Select(f => f.Name), "label"]);
            void Flush()
            {
                int count = 0;
                for (int row = 0; row < batch.Count; row++)
                {
                    if (known.Admit(batch.EventKeys[row], batch.Fingerprints[row], out _) == Admission.New) { rows[count++] = row; } else { duplicates++; }
                }
                engine.Build(batch, rows.AsSpan(0, count), views, late);
                for (int k = 0; k < count; k++)
                {
                    long time = batch.EventTimes[rows[k]];
                    if (time < from || time >= to) { continue; }
                    int label = input.Labels is null ? -1 : input.Labels.TryGet(batch.EventKeys[rows[k]], out Label known) && known.IsPositive ? 1 : 0;
                    csv.Row(batch.EventId(rows[k]), time, views.AsSpan(k * catalog.Count, catalog.Count), label);
                    written++;
                    positives += Math.Max(0, label);
                }
                batch.Clear();
                progress(transactions);
            }

            long now = Micro.FromDateTimeOffset(TimeProvider.System.GetUtcNow());
            while (input.Source.TryRead(out SourceRecord record))
            {
                transactions++;
                if (record.Problem != ErrorCode.None || parser.Parse(record.Bytes, record.LineNumber, now, batch, out _) != ErrorCode.None) { rejected++; }
                if (batch.Count < BatchSize && !batch.IsFull) { continue; }
                cancellation.ThrowIfCancellationRequested();
                Flush();
            }
            Flush();
            if (input.Source.Failure is { } failure) { throw new SourceFailedException(failure); }
        }
        File.Move(unfinished, path, overwrite: true);
        return new TrainingSet(transactions, written, rejected, duplicates, positives, TimeProvider.System.GetElapsedTime(started));
    }

    /// <summary>Writes CSV without allocating a row.</summary>
    private sealed class CsvRows(string path) : IDisposable
    {
        private readonly FileStream _file = new(path, FileMode.Create, FileAccess.Write, FileShare.Read, 1);
        private readonly byte[] _buffer = new byte[1 << 20];
        private int _length;

        public void Header(IEnumerable<string> names)
        {
            foreach (byte b in System.Text.Encoding.UTF8.GetBytes(string.Join(',', names) + "\n")) { _buffer[_length++] = b; }
        }

        public void Row(ReadOnlySpan<byte> id, long time, ReadOnlySpan<double> features, int label)
        {
            if (_buffer.Length - _length < 2 * id.Length + features.Length * 26 + 64) { Write(); }
            Id(id);
            Comma();
            Advance(System.Text.Encoding.ASCII.GetBytes(Micro.ToIso8601(time), _buffer.AsSpan(_length)));
            foreach (double value in features)
            {
                Comma();
                if (double.IsNaN(value)) { continue; }
                value.TryFormat(_buffer.AsSpan(_length), out int size, "R", System.Globalization.CultureInfo.InvariantCulture);
                Advance(size);
            }
            Comma();
            if (label >= 0) { _buffer[_length++] = (byte)('0' + label); }
            _buffer[_length++] = (byte)'\n';
        }

        public void Dispose()
        {
            Write();
            _file.Dispose();
        }

        // An id that a spreadsheet would run as a formula gets an apostrophe before it; one with a comma or quote is quoted.
        private void Id(ReadOnlySpan<byte> id)
        {
            bool formula = id.Length > 0 && "=+-@\t\r"u8.Contains(id[0]);
            bool quoted = id.IndexOfAny(",\"\r\n"u8) >= 0;
            if (quoted) { _buffer[_length++] = (byte)'"'; }
            if (formula) { _buffer[_length++] = (byte)'\''; }
            foreach (byte b in id)
            {
                if (b == '"') { _buffer[_length++] = b; }
                _buffer[_length++] = b;
            }
            if (quoted) { _buffer[_length++] = (byte)'"'; }
        }

        private void Comma() => _buffer[_length++] = (byte)',';
        private void Advance(int size) => _length += size;

        private void Write()
        {
            _file.Write(_buffer, 0, _length);
            _length = 0;
        }
    }
}
