using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

/// <summary>
/// A disk that remembers what was never synced and can lose it, as a power cut does: whole files, parts of files, and 4 KiB
/// pages of the journal, in any combination. It can also fail on request. Below, the files are real but never synced, which
/// makes it the fast disk for tests.
/// </summary>
internal sealed class SimulatedDisk : ILogDisk
{
    private readonly LogDisk _real = new();
    private readonly Dictionary<string, byte[]?> _unsyncedFiles = [];
    private readonly List<JournalFile> _journals = [];

    public int Syncs { get; private set; }

    /// <summary>Journal syncs from this one (1-based count from now) fail; 0 never.</summary>
    public int FailSyncAfter { get; set; }

    /// <summary>Writing tile files fails.</summary>
    public bool FailFiles { get; set; }

    public IJournalFile OpenJournal(string path, long bytes)
    {
        if (!File.Exists(path))
        {
            File.WriteAllBytes(path, new byte[bytes]);
        }

        var file = new JournalFile(this, _real.OpenJournal(path, bytes));
        _journals.Add(file);
        return file;
    }

    public void WriteFile(string path, ReadOnlySpan<byte> bytes)
    {
        if (FailFiles)
        {
            throw new IOException("No space left on device (simulated).");
        }

        _unsyncedFiles.TryAdd(path, File.Exists(path) ? File.ReadAllBytes(path) : null);
        _real.WriteFile(path, bytes);
    }

    public void ReplaceFile(string path, ReadOnlySpan<byte> bytes)
    {
        File.WriteAllBytes(path + ".new", bytes);
        File.Move(path + ".new", path, overwrite: true);
    }

    public void DeleteFolder(string path) => _real.DeleteFolder(path);

    public void SyncAll(string folder)
    {
        _unsyncedFiles.Clear();
        foreach (JournalFile journal in _journals)
        {
            journal.Forget();
        }
    }

    /// <summary>Cuts the power: of everything unsynced, each piece survives or not as the generator says. The log must be abandoned already.</summary>
    public void CutPower(Random random)
    {
        foreach ((string path, byte[]? before) in _unsyncedFiles)
        {
            switch (random.Next(4))
            {
                case 0 when before is null: File.Delete(path); break;
                case 0: File.WriteAllBytes(path, before!); break;
                case 1: File.WriteAllBytes(path, File.ReadAllBytes(path)[..random.Next((int)new FileInfo(path).Length)]); break;
                case 2: File.WriteAllBytes(path, new byte[new FileInfo(path).Length]); break;
                default: break;
            }
        }

        foreach (JournalFile journal in _journals)
        {
            journal.Lose(random);
        }

        _unsyncedFiles.Clear();
    }

    private sealed class JournalFile(SimulatedDisk disk, IJournalFile real) : IJournalFile
    {
        private readonly SortedDictionary<long, byte[]> _before = [];

        public long Bytes => real.Bytes;

        public void Write(long offset, ReadOnlySpan<byte> bytes)
        {
            Assert.Equal(0, offset % JournalFormat.BlockBytes);
            Assert.Equal(0, bytes.Length % JournalFormat.BlockBytes);
            for (long page = offset; page < offset + bytes.Length; page += JournalFormat.BlockBytes)
            {
                if (!_before.ContainsKey(page))
                {
                    byte[] old = new byte[JournalFormat.BlockBytes];
                    real.Read(page, old);
                    _before.Add(page, old);
                }
            }

            real.Write(offset, bytes);
        }

        public void Read(long offset, Span<byte> buffer) => real.Read(offset, buffer);

        public void Sync()
        {
            disk.Syncs++;
            if (disk.FailSyncAfter > 0 && --disk.FailSyncAfter == 0)
            {
                throw new IOException("Input/output error (simulated).");
            }

            _before.Clear();
        }

        public void Forget() => _before.Clear();

        public void Lose(Random random)
        {
            foreach ((long page, byte[] old) in _before)
            {
                if (random.Next(2) == 0)
                {
                    real.Write(page, old);
                }
            }

            _before.Clear();
        }

        public void Dispose()
        {
            // Stays open until the power is cut or the test ends: losing pages needs it.
        }
    }
}
