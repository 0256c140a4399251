// Stand-in by the lead until the storage engineer's SnapshotStore lands: replace this file with yours (keep TryLoad/Save as Risk.Service/Engine/StateSnapshots.cs calls them, or adapt that file).
namespace Risk.Storage;
internal sealed class SnapshotStore(string dir)
{
    public bool TryLoad(ReadOnlySpan<byte> digest, long max, out long sequence, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out byte[]? bytes)
    { sequence = 0; bytes = null; if (!File.Exists(dir + "/s")) return false; var all = File.ReadAllBytes(dir + "/s"); sequence = BitConverter.ToInt64(all); bytes = all[8..]; return sequence <= max; }
    public void Save(long sequence, ReadOnlySpan<byte> digest, ReadOnlySpan<byte> bytes)
    { Directory.CreateDirectory(dir); using var f = File.Create(dir + "/s.new"); f.Write(BitConverter.GetBytes(sequence)); f.Write(bytes); f.Flush(true); f.Dispose(); File.Move(dir + "/s.new", dir + "/s", true); }
}
