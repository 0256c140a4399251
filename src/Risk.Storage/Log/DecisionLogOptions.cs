using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>How a <see cref="FileDecisionLog"/> is opened.</summary>
internal sealed record DecisionLogOptions
{
    /// <summary>The log's identity and its key's name, e.g. <c>risk/card-payments</c>. No spaces, no plus.</summary>
    public required string Origin { get; init; }

    /// <summary>32 bytes to derive a new log's key from, so that runs are reproducible; empty makes a random one.</summary>
    public ReadOnlyMemory<byte> KeySeed { get; init; }

    /// <summary>
    /// 32 bytes that tell the key by which ids are hashed, one-way; a <see cref="FileDecisionStore"/> keeps them and refuses
    /// others (<c>LOG_OTHER</c>). Empty for whoever hashes none: not compared.
    /// </summary>
    public ReadOnlyMemory<byte> TokenFingerprint { get; init; }

    /// <summary>Bytes of a journal segment; 32 MiB unless told, at least 64 KiB. A group must fit one.</summary>
    public long SegmentBytes { get; init; } = 32 << 20;

    /// <summary>A checkpoint is published at most this often, and at closing.</summary>
    public TimeSpan CheckpointEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Full bundles that may wait in memory for their files; a commit waits beyond. About 200 KB each.</summary>
    public int LiveBundlesMax { get; init; } = 64;

    /// <summary>False writes tiles within <see cref="IDecisionLog.Commit"/> instead of on a thread, for simulations.</summary>
    public bool TilesInBackground { get; init; } = true;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    public ILogDisk Disk { get; init; } = new LogDisk();
}
