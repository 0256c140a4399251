using System.Security.Cryptography;
using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// The key that signs checkpoints. On disk <c>keys/log.key</c> (PKCS#8 PEM, mode 0600, as <c>openssl pkey</c> reads it)
/// and <c>keys/log.vkey</c> (the verifier key text of https://c2sp.org/signed-note, to be handed to auditors).
/// </summary>
internal sealed class LogKey : INoteSigner
{
    private const string PemLabel = "PRIVATE KEY";
    private readonly byte[] _seed;

    public LogKey(string name, ReadOnlySpan<byte> seed)
    {
        _seed = seed.ToArray();
        Key = new VerifierKey(name, Ed25519.PublicKeyOf(seed));
    }

    public VerifierKey Key { get; }

    /// <summary>What stands before the 32 bytes in PKCS#8, RFC 8410 section 7.</summary>
    private static ReadOnlySpan<byte> Pkcs8Prefix => [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

    public byte[] Sign(ReadOnlySpan<byte> text) => Ed25519.Sign(_seed, text);

    /// <summary>Loads the key of a directory, or makes one: from the seed when there is one, else at random.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_OTHER</c>: the directory's key is not the seed's; <c>LOG_CORRUPT</c>: it can't be read.</exception>
    public static LogKey LoadOrCreate(LogFolder folder, string name, ReadOnlySpan<byte> seed)
    {
        if (!File.Exists(folder.PrivateKey))
        {
            byte[] made = seed.IsEmpty ? RandomNumberGenerator.GetBytes(Ed25519.SeedBytes) : seed.ToArray();
            OnceFile.TryCreate(folder.PrivateKey, System.Text.Encoding.ASCII.GetBytes(PemEncoding.WriteString(PemLabel, [.. Pkcs8Prefix, .. made]) + "\n"), OnceFile.Private);
        }

        // Whoever was first: the partitions of one store begin at the same moment, in several processes.
        var key = new LogKey(name, ReadPem(folder.PrivateKey));
        if (!seed.IsEmpty && !seed.SequenceEqual(key._seed))
        {
            throw new DecisionLogException(LogCodes.Other, $"{folder.PrivateKey} is not the key that was given.");
        }

        OnceFile.TryCreate(folder.VerifierKey, System.Text.Encoding.ASCII.GetBytes(key.Key + "\n"));
        return key;
    }

    private static byte[] ReadPem(string path)
    {
        string text = File.ReadAllText(path);
        if (PemEncoding.TryFind(text, out PemFields fields) && text[fields.Label] == PemLabel)
        {
            byte[] der = Convert.FromBase64String(text[fields.Base64Data]);
            if (der.Length == Pkcs8Prefix.Length + Ed25519.SeedBytes && der.AsSpan().StartsWith(Pkcs8Prefix))
            {
                return der[Pkcs8Prefix.Length..];
            }
        }

        throw new DecisionLogException(LogCodes.Corrupt, $"{path} is not an Ed25519 key in PKCS#8 PEM.");
    }
}
