using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// Verifies a log offline and trusts nothing in it but the key: from the entries' bytes it derives every leaf hash, every
/// tile of every level and the root, compares them with the files and the signed checkpoint, and checks that each record
/// is canonical, stands at its sequence, decides an event no other record decides, and commits to its private payload.
/// It stops at the first bad record and names it.
/// <para>
/// What it cannot see from the files alone: a split view, or a log rewritten as a whole by the holder of the key. For
/// those, compare with checkpoints kept elsewhere (<see cref="LogVerifyOptions.CheckpointFile"/>).
/// </para>
/// </summary>
internal sealed class LogVerifier : IHashTileSink
{
    private readonly LogFolder _folder;
    private readonly Checkpoint _checkpoint;
    private readonly LogVerification _so;
    private readonly MerkleTiles _tree = new();
    private readonly EventIdSet _decided;
    private readonly Sha256Lanes _lanes = new();
    private readonly byte[] _leaves = new byte[LogFormat.TileBytes];
    private readonly byte[] _commitments = new byte[LogFormat.TileBytes];
    private byte[] _entries = [];
    private byte[] _payloads = [];
    private byte[] _tile = [];
    private long _decisions;
    private long _others;
    private long _payloadsVerified;
    private long _payloadsAbsent;
    private LogVerification? _bad;

    private LogVerifier(LogFolder folder, Checkpoint checkpoint, LogVerification so)
    {
        _folder = folder;
        _checkpoint = checkpoint;
        _so = so;
        _decided = new EventIdSet(Math.Min(checkpoint.Size, 1 << 24));
    }

    /// <summary>Verifies the log of a run's directory, or the log itself.</summary>
    public static LogVerification Verify(string directory, LogVerifyOptions? options = null, IProgress<LogVerifyProgress>? progress = null)
    {
        options ??= new LogVerifyOptions();
        LogFolder folder = LogFolder.Find(directory);
        string checkpointFile = options.CheckpointFile ?? folder.Checkpoint;
        if (!File.Exists(checkpointFile))
        {
            return Bad(VerifyCodes.CheckpointMissing, $"There is no checkpoint at {checkpointFile}.");
        }

        string? keyText = options.VerifierKey ?? (File.Exists(folder.VerifierKey) ? File.ReadAllText(folder.VerifierKey) : null);
        if (keyText is null || !VerifierKey.TryParse(keyText, out VerifierKey? key))
        {
            return Bad(VerifyCodes.KeyMissing, $"There is no usable verifier key, neither given nor at {folder.VerifierKey}.");
        }

        if (!SignedNote.TryParse(File.ReadAllBytes(checkpointFile), out SignedNote? note))
        {
            return Bad(VerifyCodes.CheckpointInvalid, $"{checkpointFile} is not a signed note.");
        }

        if (!note.IsSignedBy(key, Ed25519.Verify))
        {
            return Bad(VerifyCodes.SignatureInvalid, $"{checkpointFile} is not signed by {key}.");
        }

        if (!Checkpoint.TryParse(note.Text, out Checkpoint? checkpoint) || checkpoint.Origin != key.Name)
        {
            return Bad(VerifyCodes.CheckpointInvalid, $"{checkpointFile} is signed, but is not a checkpoint of {key.Name}.");
        }

        LogVerification so = Bad("", "") with
        {
            Origin = checkpoint.Origin,
            Size = checkpoint.Size,
            RootHash = Convert.ToHexStringLower(checkpoint.RootHash),
            VerifierKey = key.ToString(),
        };
        return new LogVerifier(folder, checkpoint, so).Run(options, progress);
    }

    void IHashTileSink.TakeHashTile(int level, long index, ReadOnlySpan<byte> hashes)
    {
        if (_bad is null)
        {
            _bad = CompareTile(level, index, hashes);
        }
    }

    private LogVerification Run(LogVerifyOptions options, IProgress<LogVerifyProgress>? progress)
    {
        long next = options.ProgressEvery;
        int width = 0;
        for (long first = 0; first < _checkpoint.Size; first += LogFormat.TileWidth)
        {
            width = (int)Math.Min(_checkpoint.Size - first, LogFormat.TileWidth);
            long index = first / LogFormat.TileWidth;
            _bad = CheckBundle(index, width);
            if (_bad is null && width == LogFormat.TileWidth)
            {
                _tree.Add(_leaves, this);
                width = 0;
            }

            if (_bad is not null)
            {
                return Counted(_bad);
            }

            if (first + LogFormat.TileWidth >= next)
            {
                progress?.Report(new LogVerifyProgress(Math.Min(first + LogFormat.TileWidth, _checkpoint.Size), _checkpoint.Size));
                next += options.ProgressEvery;
            }
        }

        return Counted(CheckRightEdge(width) ?? _so with
        {
            Code = VerifyCodes.Verified,
            Sentence = $"All {_checkpoint.Size} records are as they were logged.",
        });
    }

    private LogVerification? CheckBundle(long index, int width)
    {
        long first = index * LogFormat.TileWidth;
        int bytes = BundleFile.ReadWidth(w => _folder.Entries(index, w), width, ref _entries);
        if (bytes < 0)
        {
            return At(VerifyCodes.EntriesMissing, first, $"{_folder.Entries(index, width)} is missing");
        }

        ReadOnlySpan<byte> rest = _entries.AsSpan(0, bytes);
        for (int i = 0; i < width; i++)
        {
            if (!BundleFile.TryNext(ref rest, out ReadOnlySpan<byte> entry))
            {
                _lanes.Flush(_leaves);
                return CompareLeaves(index, width, i) ?? At(VerifyCodes.EntriesMissing, first + i, $"{_folder.Entries(index, width)} ends before it");
            }

            MerkleHash.AddLeaf(_lanes, entry, _leaves, i * LogFormat.HashBytes);
        }

        _lanes.Flush(_leaves);
        // The hashes first: a changed byte is named as such, whatever it does to the record.
        LogVerification? bad = CompareLeaves(index, width, width);
        return bad ?? (rest.IsEmpty || width < LogFormat.TileWidth
            ? CheckRecords(index, width, bytes)
            : At(VerifyCodes.EntryHashMismatch, first + width - 1, $"{_folder.Entries(index, width)} goes on after its last record"));
    }

    private LogVerification? CheckRecords(long index, int width, int entriesBytes)
    {
        long first = index * LogFormat.TileWidth;
        int payloadBytes = Math.Max(0, BundleFile.ReadWidth(w => _folder.Payloads(index, w), width, ref _payloads));
        ReadOnlySpan<byte> entries = _entries.AsSpan(0, entriesBytes);
        ReadOnlySpan<byte> payloads = _payloads.AsSpan(0, payloadBytes);
        DeriveCommitments(payloads, width);
        for (int i = 0; i < width; i++)
        {
            BundleFile.TryNext(ref entries, out ReadOnlySpan<byte> entry);
            bool hasPayload = BundleFile.TryNext(ref payloads, out ReadOnlySpan<byte> payload);
            if (CheckRecord(first + i, entry, payload) is { } bad)
            {
                return bad;
            }

            // An erased payload has length 0, an absent store has no file: a bundle that ends early was damaged.
            if (!hasPayload && payloadBytes > 0)
            {
                return At(VerifyCodes.PayloadMismatch, first + i, $"{_folder.Payloads(index, width)} ends before its private payload");
            }
        }

        return payloads.IsEmpty || width < LogFormat.TileWidth
            ? null
            : At(VerifyCodes.PayloadMismatch, first + width - 1, $"{_folder.Payloads(index, width)} goes on after its private payload");
    }

    private void DeriveCommitments(ReadOnlySpan<byte> payloads, int width)
    {
        for (int i = 0; i < width && BundleFile.TryNext(ref payloads, out ReadOnlySpan<byte> payload); i++)
        {
            _lanes.Add(-1, payload, _commitments, i * LogFormat.HashBytes);
        }

        _lanes.Flush(_commitments);
    }

    private LogVerification? CheckRecord(long sequence, ReadOnlySpan<byte> entry, ReadOnlySpan<byte> payload)
    {
        RecordFault fault = DecisionRecordCodec.Read(entry, out DecisionRecord record);
        if (fault != RecordFault.None)
        {
            return At(VerifyCodes.RecordInvalid, sequence, $"its bytes are no canonical record ({fault})");
        }

        if (record.Sequence != sequence)
        {
            return At(VerifyCodes.SequenceMismatch, sequence, $"it says that it is record {record.Sequence}");
        }

        if (record.Kind == RecordKind.Decision)
        {
            _decisions++;
            if (!_decided.Add(record.Stream, record.EventId))
            {
                return At(VerifyCodes.DuplicateDecision, sequence, $"its event was decided before, in record {FirstDecisionOf(record)}");
            }
        }
        else
        {
            _others++;
        }

        return CheckPayload(sequence, record.Commitment, payload);
    }

    private LogVerification? CheckPayload(long sequence, ReadOnlySpan<byte> commitment, ReadOnlySpan<byte> payload)
    {
        if (payload.IsEmpty)
        {
            _payloadsAbsent += commitment.IsEmpty ? 0 : 1;
            return null;
        }

        int at = (int)(sequence % LogFormat.TileWidth) * LogFormat.HashBytes;
        if (!_commitments.AsSpan(at, LogFormat.HashBytes).SequenceEqual(commitment))
        {
            return At(VerifyCodes.PayloadMismatch, sequence, "its private payload is not the one it commits to");
        }

        _payloadsVerified++;
        return null;
    }

    /// <summary>Compares the first <paramref name="count"/> derived leaf hashes with the level-0 tile.</summary>
    private LogVerification? CompareLeaves(long index, int width, int count)
    {
        int bytes = BundleFile.ReadWidth(w => _folder.Hashes(0, index, w), width, ref _tile);
        long first = index * LogFormat.TileWidth;
        for (int i = 0; i < count; i++)
        {
            int at = i * LogFormat.HashBytes;
            if (bytes < at + LogFormat.HashBytes)
            {
                return At(VerifyCodes.TileMismatch, first + i, $"{_folder.Hashes(0, index, width)} is missing or too short");
            }

            if (!_tile.AsSpan(at, LogFormat.HashBytes).SequenceEqual(_leaves.AsSpan(at, LogFormat.HashBytes)))
            {
                return At(VerifyCodes.EntryHashMismatch, first + i, "its bytes do not have the hash in the level-0 tile");
            }
        }

        return null;
    }

    /// <summary>Compares a derived tile, full or partial, of any level.</summary>
    private LogVerification? CompareTile(int level, long index, ReadOnlySpan<byte> hashes)
    {
        int width = hashes.Length / LogFormat.HashBytes;
        int bytes = BundleFile.ReadWidth(w => _folder.Hashes(level, index, w), width, ref _tile);
        long span = MerkleTiles.WidthOf(level);
        for (int i = 0; i < width; i++)
        {
            int at = i * LogFormat.HashBytes;
            if (bytes < at + LogFormat.HashBytes || !_tile.AsSpan(at, LogFormat.HashBytes).SequenceEqual(hashes.Slice(at, LogFormat.HashBytes)))
            {
                long first = (index * LogFormat.TileWidth + i) * span;
                string what = bytes < at + LogFormat.HashBytes ? "is missing or too short" : $"has another hash at {i} than its records";
                return At(VerifyCodes.TileMismatch, first, $"{_folder.Hashes(level, index, width)} {what}") with { LastBadSequence = first + span - 1 };
            }
        }

        if (width == LogFormat.TileWidth && bytes != LogFormat.TileBytes)
        {
            return At(VerifyCodes.TileMismatch, index * LogFormat.TileWidth * span, $"{_folder.Hashes(level, index)} has {bytes} bytes");
        }

        return null;
    }

    private LogVerification? CheckRightEdge(int tailWidth)
    {
        for (int level = 1; level <= _tree.LevelCount; level++)
        {
            ReadOnlySpan<byte> partial = _tree.Partial(level);
            if (!partial.IsEmpty && CompareTile(level, _checkpoint.Size / MerkleTiles.WidthOf(level + 1), partial) is { } bad)
            {
                return bad;
            }
        }

        byte[] root = new byte[LogFormat.HashBytes];
        _tree.Root(_leaves.AsSpan(0, tailWidth * LogFormat.HashBytes), root);
        return root.AsSpan().SequenceEqual(_checkpoint.RootHash) ? null : _so with
        {
            Code = VerifyCodes.RootMismatch,
            Sentence = $"The records and tiles agree with each other, but their root is {Convert.ToHexStringLower(root)}, not the checkpoint's: they were replaced together.",
        };
    }

    /// <summary>Only when a duplicate was found: which record decided the event first.</summary>
    private long FirstDecisionOf(in DecisionRecord twin)
    {
        using var reader = new DecisionLogReader(_folder, 0, _checkpoint.Size, null);
        while (reader.Read())
        {
            if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) == RecordFault.None &&
                record.Stream.SequenceEqual(twin.Stream) && record.EventId.SequenceEqual(twin.EventId))
            {
                return reader.Sequence;
            }
        }

        return -1;
    }

    private LogVerification At(string code, long sequence, string what) => _so with
    {
        Code = code,
        Sentence = $"Record {sequence} is bad: {what}.",
        FirstBadSequence = sequence,
        LastBadSequence = sequence,
    };

    private LogVerification Counted(LogVerification result) => result with
    {
        Decisions = _decisions,
        OtherRecords = _others,
        PayloadsVerified = _payloadsVerified,
        PayloadsAbsent = _payloadsAbsent,
    };

    private static LogVerification Bad(string code, string sentence) => new() { Code = code, Sentence = sentence };
}
