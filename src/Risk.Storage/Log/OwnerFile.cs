using System.Globalization;
using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// Who has a log open: epoch and address on a line each, replaced atomically, so that others can read it while the lock is
/// held. The lock is the fence; the epoch only counts.
/// </summary>
internal sealed class OwnerFile(string folder, ILogDisk disk)
{
    private string Path { get; } = System.IO.Path.Combine(folder, "owner");

    /// <summary>Epoch 0 when nobody ever had it.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_CORRUPT</c>.</exception>
    public (long Epoch, string Owner) Read()
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(Path);
        }
        catch (IOException e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return (0, "");
        }

        return lines is [var epoch, var owner] && long.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            ? (number, owner)
            : throw new DecisionLogException(LogCodes.Corrupt, $"{Path} does not hold an epoch and an address on a line each: write the last epoch known, or 0, and an empty line.");
    }

    /// <summary>Counts a new owner; durable on return. The caller holds the log's lock.</summary>
    public long Take(string owner)
    {
        long epoch = Read().Epoch + 1;
        disk.ReplaceFile(Path, System.Text.Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{epoch}\n{owner.ReplaceLineEndings(" ")}\n")));
        return epoch;
    }
}
