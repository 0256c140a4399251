namespace Risk.Storage.Log;

/// <summary>Stable codes of what a verification found.</summary>
internal static class VerifyCodes
{
    public const string Verified = "VERIFIED";
    public const string CheckpointMissing = "CHECKPOINT_MISSING";
    public const string CheckpointInvalid = "CHECKPOINT_INVALID";
    public const string KeyMissing = "KEY_MISSING";
    public const string SignatureInvalid = "SIGNATURE_INVALID";
    public const string EntriesMissing = "ENTRIES_MISSING";
    public const string EntryHashMismatch = "ENTRY_HASH_MISMATCH";
    public const string TileMismatch = "TILE_MISMATCH";
    public const string RootMismatch = "ROOT_MISMATCH";
    public const string RecordInvalid = "RECORD_INVALID";
    public const string SequenceMismatch = "SEQUENCE_MISMATCH";
    public const string DuplicateDecision = "DUPLICATE_DECISION";
    public const string PayloadMismatch = "PAYLOAD_MISMATCH";
}

/// <summary>What a verification is given; everything else is found in the directory.</summary>
internal sealed record LogVerifyOptions
{
    /// <summary>
    /// The verifier key text, as the auditor got it from a source of trust. Null takes <c>keys/log.vkey</c> of the
    /// directory, which proves that the log fits its own key and no more.
    /// </summary>
    public string? VerifierKey { get; init; }

    /// <summary>A checkpoint kept from elsewhere to verify against; null takes the log's own.</summary>
    public string? CheckpointFile { get; init; }

    /// <summary>Entries between two progress reports.</summary>
    public long ProgressEvery { get; init; } = 50_000;
}

/// <summary>Entries checked so far, of how many.</summary>
internal readonly record struct LogVerifyProgress(long Checked, long Size);

/// <summary>The answer.</summary>
internal sealed record LogVerification
{
    /// <summary>One of <see cref="VerifyCodes"/>.</summary>
    public required string Code { get; init; }

    /// <summary>One sentence for people.</summary>
    public required string Sentence { get; init; }

    public bool IsVerified => Code == VerifyCodes.Verified;

    /// <summary>The first record that is not as it was logged; null when everything is, or when it can't be narrowed down.</summary>
    public long? FirstBadSequence { get; init; }

    /// <summary>The last record that may be affected: above the first where only a tile's hash is wrong.</summary>
    public long? LastBadSequence { get; init; }

    public string Origin { get; init; } = "";

    /// <summary>Entries of the checkpoint.</summary>
    public long Size { get; init; }

    /// <summary>Lower-case hex of the checkpoint's root.</summary>
    public string RootHash { get; init; } = "";

    /// <summary>The key the checkpoint was verified with, in text form.</summary>
    public string VerifierKey { get; init; } = "";

    public long Decisions { get; init; }

    /// <summary>Records of other kinds: start, stop, model change, override, degradation.</summary>
    public long OtherRecords { get; init; }

    /// <summary>Payloads that are there and fit their commitment.</summary>
    public long PayloadsVerified { get; init; }

    /// <summary>Payloads that are not there: erased, or not handed to this auditor.</summary>
    public long PayloadsAbsent { get; init; }
}
