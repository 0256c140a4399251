using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

/// <summary>Keys that several openers make at the same time.</summary>
public sealed class OnceFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-once-").FullName;

    [Fact]
    public void SixteenAtOnce_HaveTheSameKey_AndLeaveNothingElse()
    {
        for (int round = 0; round < 20; round++)
        {
            var folder = new LogFolder(Path.Combine(_folder, $"{round}"));
            var keys = new string[16];
            Race(keys.Length, i => keys[i] = LogKey.LoadOrCreate(folder, "risk/test", default).Key.ToString());
            Assert.Single(keys.Distinct());
            Assert.Equal(keys[0], File.ReadAllText(folder.VerifierKey).Trim());
            Assert.Equal(2, Directory.GetFileSystemEntries(folder.Keys).Length);
        }
    }

    [Fact]
    public void TheFirst_Stays()
    {
        string path = Path.Combine(_folder, "one");
        int made = 0;
        Race(16, i =>
        {
            if (OnceFile.TryCreate(path, [(byte)i], OnceFile.Private)) { Interlocked.Increment(ref made); }
        });
        byte[] first = File.ReadAllBytes(path);
        Assert.Equal(1, made);
        Assert.False(OnceFile.TryCreate(path, [77], OnceFile.Private));
        Assert.Equal(first, File.ReadAllBytes(path));
        if (!OperatingSystem.IsWindows()) { Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path)); }
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Race(int count, Action<int> act)
    {
        using var start = new Barrier(count);
        Exception? failed = null;
        Thread[] threads = [.. Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            start.SignalAndWait();
            try
            {
                act(i);
            }
            catch (Exception e)
            {
                failed = e;
            }
        }))];
        foreach (Thread thread in threads) { thread.Start(); }
        foreach (Thread thread in threads) { thread.Join(); }
        Assert.Null(failed);
    }
}
