using System.Security.Cryptography;
using Risk.Core.Log;

namespace Risk.Core.Tests.Log;

public class MerkleTests
{
    /// <summary>The eight leaves and the roots of each size of Certificate Transparency's own test (merkletree tests, RFC 6962).</summary>
    private static readonly string[] Leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    private static readonly string[] Roots =
    [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    [Fact]
    public void SmallTrees_HaveTheKnownRoots()
    {
        byte[] leaves = [.. Leaves.SelectMany(hex => Leaf(Convert.FromHexString(hex)))];
        for (int size = 1; size <= Leaves.Length; size++)
        {
            Assert.Equal(Roots[size - 1], Convert.ToHexStringLower(Root(new MerkleTiles(), leaves.AsSpan(0, size * 32))));
        }
    }

    [Fact]
    public void EmptyTree_HasTheHashOfNothing()
    {
        Assert.Equal(SHA256.HashData([]), MerkleHash.Empty);
        Assert.Equal(SHA256.HashData([]), Root(new MerkleTiles(), default));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(70_000)]
    public void TiledTree_HasTheRootOfTheDefinition(int size)
    {
        byte[] leaves = LeavesOf(size);
        var tiles = new MerkleTiles();
        int full = size / 256 * 256;
        for (int i = 0; i < full; i += 256)
        {
            tiles.Add(leaves.AsSpan(i * 32, LogFormat.TileBytes), null);
        }

        Assert.Equal(Definition(leaves), Root(tiles, leaves.AsSpan(full * 32)));
    }

    [Fact]
    public void TreeOf70000_HasTheTilesOfTheSpecification()
    {
        // https://c2sp.org/tlog-tiles#partial-tiles: 273 full level-0 tiles, one of width 112, one full level-1 tile, one of 17, one level-2 of 1.
        var sink = new Collector();
        MerkleTiles tiles = Grow(70_000, sink);
        Assert.Equal(273, sink.Tiles.Count(t => t.Key.Level == 0));
        Assert.Equal(1, sink.Tiles.Count(t => t.Key.Level == 1));
        Assert.Equal(0, sink.Tiles.Count(t => t.Key.Level == 2));
        Assert.Equal(17 * 32, tiles.Partial(1).Length);
        Assert.Equal(1 * 32, tiles.Partial(2).Length);
        Assert.Equal([112, 17, 1, 0], Enumerable.Range(0, 4).Select(level => TilePath.PartialWidth(level, 70_000)));
    }

    [Fact]
    public void RestoredRightEdge_IsTheSame()
    {
        var sink = new Collector();
        MerkleTiles grown = Grow(70_000, sink);
        var restored = new MerkleTiles();
        restored.Restore(grown.Size, (level, index, to) => sink.Tiles[(level, index)].CopyTo(to, 0));
        Assert.Equal(grown.Size, restored.Size);
        Assert.Equal(Root(grown, default), Root(restored, default));
        Assert.Equal(grown.Partial(1), restored.Partial(1));
        Assert.Equal(grown.Partial(2), restored.Partial(2));
    }

    [Theory]
    [InlineData(0, "000")]
    [InlineData(5, "005")]
    [InlineData(999, "999")]
    [InlineData(1000, "x001/000")]
    [InlineData(1234067, "x001/x234/067")]
    public void TileNumbers_AreSpelledInThrees(long index, string path)
    {
        Assert.Equal(path, TilePath.Number(index));
        Assert.Equal("tile/entries/" + path, TilePath.Entries(index));
        Assert.Equal("tile/3/" + path + ".p/17", TilePath.Hashes(3, index, 17));
    }

    private static MerkleTiles Grow(int size, Collector sink)
    {
        byte[] leaves = LeavesOf(size);
        var tiles = new MerkleTiles();
        for (int i = 0; i + 256 <= size; i += 256)
        {
            tiles.Add(leaves.AsSpan(i * 32, LogFormat.TileBytes), sink);
        }

        return tiles;
    }

    private static byte[] LeavesOf(int size)
    {
        byte[] leaves = new byte[size * 32];
        for (int i = 0; i < size; i++)
        {
            MerkleHash.Leaf(BitConverter.GetBytes(i), leaves.AsSpan(i * 32, 32));
        }

        return leaves;
    }

    private static byte[] Leaf(byte[] entry)
    {
        byte[] hash = new byte[32];
        MerkleHash.Leaf(entry, hash);
        return hash;
    }

    private static byte[] Root(MerkleTiles tiles, ReadOnlySpan<byte> tail)
    {
        byte[] root = new byte[32];
        tiles.Root(tail, root);
        return root;
    }

    /// <summary>RFC 6962 section 2.1, word by word: split at the largest power of two below n.</summary>
    private static byte[] Definition(ReadOnlySpan<byte> leaves)
    {
        int n = leaves.Length / 32;
        if (n == 1)
        {
            return leaves.ToArray();
        }

        int k = 1;
        while (k * 2 < n)
        {
            k *= 2;
        }

        return SHA256.HashData([0x01, .. Definition(leaves[..(k * 32)]), .. Definition(leaves[(k * 32)..])]);
    }

    private sealed class Collector : IHashTileSink
    {
        public Dictionary<(int Level, long Index), byte[]> Tiles { get; } = [];

        public void TakeHashTile(int level, long index, ReadOnlySpan<byte> hashes) => Tiles.Add((level, index), hashes.ToArray());
    }
}
