using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>By which key the ids of a directory's stream are hashed: its fingerprint, hexadecimal, written once.</summary>
internal sealed class TokenKeyFile(string directory)
{
    private string Path { get; } = System.IO.Path.Combine(directory, "token-key");

    /// <summary>Keeps the fingerprint of a directory that has none yet; refuses another one.</summary>
    /// <param name="fingerprint">32 bytes; empty for whoever writes no hashes: nothing is kept or compared.</param>
    /// <exception cref="DecisionLogException"><c>LOG_OTHER</c>.</exception>
    public void Require(ReadOnlySpan<byte> fingerprint)
    {
        if (fingerprint.IsEmpty)
        {
            return;
        }

        string given = Convert.ToHexStringLower(fingerprint);
        OnceFile.TryCreate(Path, System.Text.Encoding.ASCII.GetBytes(given + "\n"));
        string kept = File.ReadAllText(Path).Trim();
        if (kept != given)
        {
            throw TokenKey.Other(directory, kept, given);
        }
    }
}

/// <summary>What both stores say of a token key that is not the stream's.</summary>
internal static class TokenKey
{
    private const int ShownChars = 8;

    public static DecisionLogException Other(string what, string keptHex, string givenHex) => new(
        LogCodes.Other,
        $"{what} was begun with another token key (fingerprint {keptHex[..Math.Min(ShownChars, keptHex.Length)]}…, this one's is {givenHex[..ShownChars]}…), and under this one every id would be decided a second time: give every process the keys/token.key that the stream was begun with.");
}
