using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Risk.Core.Log;

/// <summary>
/// A signed tree head, https://c2sp.org/tlog-checkpoint: origin, size and root hash on three lines of a signed note.
/// Extension lines are refused: this log writes none, and nobody could audit them.
/// </summary>
public sealed record Checkpoint(string Origin, long Size, byte[] RootHash)
{
    /// <summary>The note text, without signatures.</summary>
    public string Text => string.Create(CultureInfo.InvariantCulture, $"{Origin}\n{Size}\n{Convert.ToBase64String(RootHash)}\n");

    /// <summary>The whole signed note, UTF-8.</summary>
    public byte[] Sign(INoteSigner signer) => SignedNote.Sign(Text, signer);

    /// <summary>Reads a note text, strictly; the caller has verified the signature.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out Checkpoint? checkpoint)
    {
        checkpoint = null;
        if (text.Split('\n') is not [var origin, var size, var hash, ""] || origin.Length == 0 ||
            !long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out long entries) ||
            entries.ToString(CultureInfo.InvariantCulture) != size)
        {
            return false;
        }

        byte[] root = new byte[LogFormat.HashBytes];
        if (!Convert.TryFromBase64String(hash, root, out int length) || length != root.Length || Convert.ToBase64String(root) != hash)
        {
            return false;
        }

        checkpoint = new Checkpoint(origin, entries, root);
        return true;
    }
}
