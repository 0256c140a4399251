using System.Text;
using Risk.Core.Costs;

namespace Risk.Service.Costs;

/// <summary>
/// <c>costs.jsonl</c> in the directory of a run, which <c>risk cost report</c> reads: one JSON object a line, a
/// <see cref="MeteredRun"/> each. Several processes may serve from one directory; each line is put behind the others as a whole.
/// </summary>
public static class CostsFile
{
    public const string Name = "costs.jsonl";

    private const int TriesMax = 50;

    /// <summary>The line of a run that has ended and wrote one log; it takes the place of those that covered the same records.</summary>
    /// <param name="from">First record that the meter covers; a modelled ledger begins with the log.</param>
    /// <param name="processorBatches">See <see cref="MeteredRun.Of"/>.</param>
    public static void Add(string directory, CostLedger ledger, long from, long to, long processorBatches)
    {
        long first = ledger.Method == CostMethod.Modelled ? 0 : from;
        MeteredRun run = MeteredRun.Of(ledger, first, to, processorBatches).Closed();
        File.WriteAllLines(Path.Combine(directory, Name), [.. Read(directory).Where(earlier => earlier.Part is not null || earlier.From < first).Append(run).Select(one => one.Line())]);
    }

    /// <summary>Puts a line behind the others.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Append(string directory, MeteredRun run)
    {
        byte[] line = Encoding.UTF8.GetBytes(run.Line() + "\n");
        for (int tries = 1; ; tries++)
        {
            try
            {
                // Held alone while it is written, and the place is looked up under the lock: lines of two processes never mix.
                using var file = new FileStream(Path.Combine(directory, Name), FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
                file.Write(line);
                return;
            }
            catch (IOException) when (tries < TriesMax)
            {
                Thread.Sleep(2);
            }
        }
    }

    /// <summary>
    /// What counts: of the lines of one run and day the last; of runs with one line each those whose records no later one covers
    /// again. Lines that cannot be read are left out.
    /// </summary>
    public static IReadOnlyList<MeteredRun> Read(string directory)
    {
        string path = Path.Combine(directory, Name);
        var runs = new List<MeteredRun>();
        if (!File.Exists(path)) { return runs; }
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file, Encoding.UTF8);
        while (reader.ReadLine() is { } line)
        {
            if (MeteredRun.Read(line) is not { } run) { continue; }
            runs.RemoveAll(earlier => run.Part is { } part ? earlier.Part == part : earlier.Part is null && earlier.From >= run.From);
            runs.Add(run);
        }
        return runs;
    }
}
