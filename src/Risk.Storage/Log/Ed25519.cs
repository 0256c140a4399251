using System.Runtime.InteropServices;

namespace Risk.Storage.Log;

/// <summary>
/// Ed25519 (https://www.rfc-editor.org/rfc/rfc8032) by OpenSSL 3's libcrypto, which .NET on Linux itself stands on; the
/// framework does not offer the algorithm. Checked with the RFC's vectors.
/// </summary>
internal static unsafe partial class Ed25519
{
    public const int SeedBytes = 32;
    public const int PublicKeyBytes = 32;
    public const int SignatureBytes = 64;

    private const string Crypto = "libcrypto.so.3";
    private const int KeyType = 1087; // NID_ED25519, openssl/obj_mac.h

    /// <summary>The public key of a 32-byte private key (RFC 8032 calls it the seed).</summary>
    public static byte[] PublicKeyOf(ReadOnlySpan<byte> seed)
    {
        nint key = NewPrivateKey(seed);
        byte[] publicKey = new byte[PublicKeyBytes];
        nuint length = PublicKeyBytes;
        fixed (byte* to = publicKey)
        {
            int good = EVP_PKEY_get_raw_public_key(key, to, &length);
            EVP_PKEY_free(key);
            ThrowUnless(good == 1 && length == PublicKeyBytes, nameof(EVP_PKEY_get_raw_public_key));
        }

        return publicKey;
    }

    public static byte[] Sign(ReadOnlySpan<byte> seed, ReadOnlySpan<byte> text)
    {
        nint key = NewPrivateKey(seed);
        nint context = EVP_MD_CTX_new();
        byte[] signature = new byte[SignatureBytes];
        nuint length = SignatureBytes;
        int good;
        fixed (byte* to = signature, from = NotNull(text))
        {
            good = EVP_DigestSignInit(context, null, 0, 0, key);
            good = good == 1 ? EVP_DigestSign(context, to, &length, from, (nuint)text.Length) : good;
        }

        EVP_MD_CTX_free(context);
        EVP_PKEY_free(key);
        ThrowUnless(good == 1 && length == SignatureBytes, nameof(EVP_DigestSign));
        return signature;
    }

    /// <summary>False for anything but a valid signature by that key.</summary>
    public static bool Verify(ReadOnlySpan<byte> publicKey, ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature)
    {
        if (publicKey.Length != PublicKeyBytes || signature.Length != SignatureBytes)
        {
            return false;
        }

        fixed (byte* raw = publicKey, from = NotNull(text), sig = signature)
        {
            nint key = EVP_PKEY_new_raw_public_key(KeyType, 0, raw, PublicKeyBytes);
            if (key == 0)
            {
                return false;
            }

            nint context = EVP_MD_CTX_new();
            bool good = EVP_DigestVerifyInit(context, null, 0, 0, key) == 1 &&
                EVP_DigestVerify(context, sig, SignatureBytes, from, (nuint)text.Length) == 1;
            EVP_MD_CTX_free(context);
            EVP_PKEY_free(key);
            return good;
        }
    }

    private static nint NewPrivateKey(ReadOnlySpan<byte> seed)
    {
        if (seed.Length != SeedBytes)
        {
            throw new ArgumentException($"An Ed25519 private key has {SeedBytes} bytes, not {seed.Length}.", nameof(seed));
        }

        fixed (byte* raw = seed)
        {
            nint key = EVP_PKEY_new_raw_private_key(KeyType, 0, raw, SeedBytes);
            ThrowUnless(key != 0, nameof(EVP_PKEY_new_raw_private_key));
            return key;
        }
    }

    /// <summary>An empty span pins to a null pointer, which libcrypto takes as "tell me the length".</summary>
    private static ReadOnlySpan<byte> NotNull(ReadOnlySpan<byte> text) => text.IsEmpty ? new byte[1] : text;

    private static void ThrowUnless(bool good, string call)
    {
        if (!good)
        {
            throw new InvalidOperationException($"libcrypto: {call} failed.");
        }
    }

    [LibraryImport(Crypto)]
    private static partial nint EVP_PKEY_new_raw_private_key(int type, nint engine, byte* key, nuint length);

    [LibraryImport(Crypto)]
    private static partial nint EVP_PKEY_new_raw_public_key(int type, nint engine, byte* key, nuint length);

    [LibraryImport(Crypto)]
    private static partial int EVP_PKEY_get_raw_public_key(nint key, byte* to, nuint* length);

    [LibraryImport(Crypto)]
    private static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Crypto)]
    private static partial nint EVP_MD_CTX_new();

    [LibraryImport(Crypto)]
    private static partial void EVP_MD_CTX_free(nint context);

    [LibraryImport(Crypto)]
    private static partial int EVP_DigestSignInit(nint context, nint* keyContext, nint digest, nint engine, nint key);

    [LibraryImport(Crypto)]
    private static partial int EVP_DigestSign(nint context, byte* signature, nuint* signatureLength, byte* text, nuint textLength);

    [LibraryImport(Crypto)]
    private static partial int EVP_DigestVerifyInit(nint context, nint* keyContext, nint digest, nint engine, nint key);

    [LibraryImport(Crypto)]
    private static partial int EVP_DigestVerify(nint context, byte* signature, nuint signatureLength, byte* text, nuint textLength);
}
