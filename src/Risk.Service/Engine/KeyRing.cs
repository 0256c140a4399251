using System.Security.Cryptography;
using System.Text;
using Risk.Core.Transactions;

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
        LogSeed = logSeed;
    }

    public KeyedHash Secret { get; }

    /// <summary>32 bytes from which the log derives its signing key; empty lets it make a random one.</summary>
    public byte[] LogSeed { get; }

    /// <summary>The keys in the folder; made and written when there are none.</summary>
    public static KeyRing OpenOrCreate(string folder)
    {
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows()) { File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute); }
        string path = Path.Combine(folder, TokenFile);
        return new KeyRing(File.Exists(path) ? Read(path) : Create(path), []);
    }

    /// <summary>
    /// Keys that everyone can compute from the stream's name: they make two runs equal to the byte, and protect nothing.
    /// Only for reproducible runs of recorded streams (<c>--clock event</c>).
    /// </summary>
    public static KeyRing Reproducible(string stream) => new(Derive("token", stream)[..KeyedHash.KeySize], Derive("log", stream));

    private static byte[] Derive(string use, string stream) => SHA256.HashData(Encoding.UTF8.GetBytes($"risk reproducible run, no secret: {use}/{stream}"));

    private static byte[] Read(string path)
    {
        byte[] key = Convert.FromHexString(File.ReadAllText(path).Trim());
        return key.Length == KeyedHash.KeySize ? key : throw new InvalidDataException($"{path} holds {key.Length} bytes, it must hold {KeyedHash.KeySize}");
    }

    private static byte[] Create(string path)
    {
        byte[] key = RandomNumberGenerator.GetBytes(KeyedHash.KeySize);
        string unfinished = path + ".new";
        File.Delete(unfinished);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) { options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite; }
        using (var stream = new FileStream(unfinished, options))
        {
            stream.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(key)));
            stream.Flush(flushToDisk: true);
        }
        File.Move(unfinished, path);
        return key;
    }
}
