using System.Security.Cryptography;
using System.Text;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Storage.Log;

namespace Risk.Service.Engine;

/// <summary>
/// The secrets of one engine: the token key (card and entity tokens, salts), and where asked the seed of the log's signing
/// key. Made once, kept in a folder that only its owner can read, and never printed.
/// </summary>
public sealed class KeyRing
{
    private const string TokenFile = "token.key";

    private KeyRing(byte[] token, byte[] logSeed)
    {
        Secret = new KeyedHash(token);
        TokenFingerprint = HMACSHA256.HashData(token, "risk token key fingerprint v1"u8);
        LogSeed = logSeed;
    }

    public KeyedHash Secret { get; }

    /// <summary>32 bytes by which a store tells whether it is the token key that its stream was begun with; one-way.</summary>
    public byte[] TokenFingerprint { get; }

    /// <summary>32 bytes from which the log derives its signing key; empty lets it make a random one.</summary>
    public byte[] LogSeed { get; }

    /// <summary>The keys of a run's directory; made at random and written when it is new.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_OTHER</c>: there is a log but its token key is gone, or it is another one.</exception>
    public static KeyRing OpenOrCreate(string directory) => Open(directory, null, []);

    /// <summary>
    /// Keys that everyone can compute from the stream's name: they make two runs equal to the byte, and protect nothing.
    /// Only for reproducible runs of recorded streams (<c>--clock event</c>). With a directory they are kept there as well,
    /// so that it stays usable without the option.
    /// </summary>
    public static KeyRing Reproducible(string stream, string? directory = null)
    {
        byte[] token = Derive("token", stream)[..KeyedHash.KeySize], seed = Derive("log", stream);
        return directory is null ? new KeyRing(token, seed) : Open(directory, token, seed);
    }

    private static KeyRing Open(string directory, byte[]? wanted, byte[] logSeed)
    {
        string folder = Path.Combine(directory, "keys"), path = Path.Combine(folder, TokenFile);
        if (File.Exists(path))
        {
            byte[] kept = Read(path);
            // Under another key the same ids have other hashes: every decision would be taken a second time.
            return wanted is null || wanted.AsSpan().SequenceEqual(kept)
                ? new KeyRing(kept, logSeed)
                : throw new DecisionLogException(LogCodes.Other, $"{directory} was begun with keys of its own; go on without --clock event, or name a new directory");
        }
        if (Directory.Exists(Path.Combine(directory, "journal"))) { throw new DecisionLogException(LogCodes.Other, $"{path} is missing, and without it the log in {directory} cannot go on; restore it or name a new directory"); }
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows()) { File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute); }
        byte[] key = wanted ?? RandomNumberGenerator.GetBytes(KeyedHash.KeySize);
        // Another process that starts with the same keys at the same moment may have been first: then its key is the key.
        return OnceFile.TryCreate(path, Encoding.ASCII.GetBytes(Convert.ToHexStringLower(key)), OnceFile.Private) ? new KeyRing(key, logSeed) : Open(directory, wanted, logSeed);
    }

    private static byte[] Derive(string use, string stream) => SHA256.HashData(Encoding.UTF8.GetBytes($"risk reproducible run, no secret: {use}/{stream}"));

    private static byte[] Read(string path)
    {
        byte[] key = Convert.FromHexString(File.ReadAllText(path).Trim());
        return key.Length == KeyedHash.KeySize ? key : throw new DecisionLogException(LogCodes.Other, $"{path} holds {key.Length} bytes, it must hold {KeyedHash.KeySize}");
    }
}
