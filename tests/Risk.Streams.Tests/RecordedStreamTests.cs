using System.Diagnostics;
using Risk.Core.Transactions;

namespace Risk.Streams.Tests;

/// <summary>The stream that ships with the project, read through the production code.</summary>
public sealed class RecordedStreamTests
{
    private static readonly string Folder = Path.Combine(Root(), "streams", "card-payments");

    [Fact]
    public void CardPayments_AreWhole_AndFastEnough()
    {
        StreamSchema schema = StreamSchema.Read(File.ReadAllBytes(Path.Combine(Folder, "schema.json")), "schema.json", out _)!;
        var keys = new TransactionKeys(schema.Name, TestFolder.Secret);
        LabelFile labels = LabelFile.Read(Path.Combine(Folder, schema.Recorded!.Labels!), schema, keys, out _)!;
        using FileTransactionSource source = FileTransactionSource.Open(Path.Combine(Folder, schema.Recorded.Transactions), schema, out _)!;
        TransactionParser parser = source.CreateParser(keys, ingestIsEventTime: false, out _)!;
        var batch = new TransactionBatch(schema, 1024);
        var customers = new HashSet<EntityKey>();
        var terminals = new HashSet<EntityKey>();
        long rows = 0, bad = 0, frauds = 0, ties = 0, lastTime = 0, allocatedAtHalf = 0;
        long start = Stopwatch.GetTimestamp();
        while (source.TryRead(out SourceRecord record))
        {
            bad += parser.Parse(record.Bytes, record.LineNumber, TestFolder.Now, batch, out _) == ErrorCode.None ? 0 : 1;
            int row = batch.Count - 1;
            frauds += labels.TryGet(batch.EventKeys[row], out _) ? 1 : 0;
            ties += batch.EventTimes[row] == lastTime ? 1 : 0;
            lastTime = batch.EventTimes[row];
            rows++;
            customers.Add(batch.Keys[2 * row]);
            terminals.Add(batch.Keys[2 * row + 1]);
            if (batch.IsFull)
            {
                batch.Clear();
            }

            if (rows == 877_000)
            {
                allocatedAtHalf = GC.GetAllocatedBytesForCurrentThread();
            }
        }

        double perSecond = rows / Stopwatch.GetElapsedTime(start).TotalSeconds;
        Assert.Equal(0, bad);
        Assert.Equal((1_754_155, 14_681, 119_079), (rows, frauds, ties));
        Assert.Equal((4990, 10_000), (customers.Count, terminals.Count));
        Assert.Equal(rows + 1, batch.SourceOffsets[^1]);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocatedAtHalf, 0, 4096);

        // Only a sanity check: unoptimised code on a shared core does some 175,000, optimised code 20 times as many.
        Assert.True(perSecond > 20_000, $"{perSecond:N0} rows a second");
    }

    [Fact]
    public void CardPayments_FitTheirPlaceInGit() =>
        Assert.InRange(Directory.GetFiles(Folder).Sum(file => new FileInfo(file).Length), 1, 24_000_000);

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Risk.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No Risk.sln above {AppContext.BaseDirectory}.");
    }
}
