using System.Globalization;
using Risk.Storage.Log;

namespace Risk.Storage.Postgres;

/// <summary>The last checkpoint of each partition in files outside the database: what a database restored from too old a backup is found out by.</summary>
internal sealed class ExportedCheckpoints(string folder)
{
    private readonly LogDisk _disk = new();

    public string PathOf(int partition) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{partition:D4}.checkpoint"));

    /// <summary>The signed note; null when none was kept.</summary>
    public byte[]? Read(int partition) => File.Exists(PathOf(partition)) ? File.ReadAllBytes(PathOf(partition)) : null;

    /// <summary>Replaces the partition's checkpoint; durable on return.</summary>
    public void Write(int partition, ReadOnlySpan<byte> note) => _disk.ReplaceFile(PathOf(partition), note);
}
