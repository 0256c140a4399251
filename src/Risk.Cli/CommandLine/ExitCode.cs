namespace Risk.Cli.CommandLine;

/// <summary>What every verb tells the shell; scripts depend on it.</summary>
internal enum ExitCode
{
    /// <summary>Done, or the answer is yes.</summary>
    Done = 0,

    /// <summary>The answer is "no": verification failed, a divergence was found, a check did not hold.</summary>
    No = 1,

    /// <summary>Bad usage, or input that cannot be used.</summary>
    BadInput = 2,

    /// <summary>The outside world failed (disk, network, a lock held by another process), or the verb was interrupted.</summary>
    WorldFailed = 3,
}
