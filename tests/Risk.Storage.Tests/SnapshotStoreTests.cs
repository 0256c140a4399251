using System.Security.Cryptography;
using Risk.Storage.Tests.Log;

namespace Risk.Storage.Tests;

public class SnapshotStoreTests : LogFolderFixture
{
    private static readonly byte[] Catalog = SHA256.HashData("catalog"u8);

    [Fact]
    public void Nothing_IsLoadedFromAnEmptyFolder() => Assert.Null(Load(new SnapshotStore(Path.Combine(Folder, "none"))));

    [Fact]
    public void NewestSnapshot_IsLoaded_AndTwoAreKept()
    {
        var store = new SnapshotStore(Folder);
        for (int i = 1; i <= 5; i++)
        {
            store.Save(i * 1000, Catalog, [(byte)i, 7]);
        }

        Assert.True(store.TryLoad(Catalog, 5000, out long sequence, out byte[]? content));
        Assert.Equal(5000, sequence);
        Assert.Equal([5, 7], content);
        Assert.Equal(2, Directory.GetFiles(Folder).Length);
    }

    [Fact]
    public void SnapshotOfAnotherCatalog_IsPassedOver() =>
        Assert.False(Saved(2).TryLoad(SHA256.HashData("another"u8), 9999, out _, out _));

    [Fact]
    public void SnapshotBeyondTheLog_IsPassedOver() =>
        Assert.Equal(1000, Load(Saved(2), logSize: 1999));

    [Fact]
    public void DamagedSnapshot_AnyByte_IsPassedOver_ForTheOneBefore()
    {
        SnapshotStore store = Saved(2);
        string newest = Directory.GetFiles(Folder).Max(StringComparer.Ordinal)!;
        byte[] good = File.ReadAllBytes(newest);
        for (int at = 0; at < good.Length; at++)
        {
            byte[] bad = [.. good];
            bad[at] ^= 4;
            File.WriteAllBytes(newest, bad);
            Assert.Equal(1000, Load(store));
            File.WriteAllBytes(newest, good[..at]);
            Assert.Equal(1000, Load(store));
        }
    }

    private static long? Load(SnapshotStore store, long logSize = 9999) =>
        store.TryLoad(Catalog, logSize, out long sequence, out _) ? sequence : null;

    private SnapshotStore Saved(int count)
    {
        var store = new SnapshotStore(Folder);
        for (int i = 1; i <= count; i++)
        {
            store.Save(i * 1000, Catalog, [1, 2, 3, 4, (byte)i]);
        }

        return store;
    }
}
