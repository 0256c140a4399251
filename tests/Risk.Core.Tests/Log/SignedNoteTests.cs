using System.Text;
using Risk.Core.Log;

namespace Risk.Core.Tests.Log;

public class SignedNoteTests
{
    /// <summary>The key and note of Go's golang.org/x/mod/sumdb/note documentation.</summary>
    private const string PeterKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    private const string Quote =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";

    private const string Signed = Quote +
        "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    [Fact]
    public void VerifierKey_OfGo_IsReadAndWritten()
    {
        Assert.True(VerifierKey.TryParse(PeterKey, out VerifierKey? key));
        Assert.Equal("PeterNeumann", key.Name);
        Assert.Equal(0xc74f20a3u, key.KeyId);
        Assert.Equal(PeterKey, key.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("PeterNeumann+c74f20a3+AhpcmQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("PeterNeumann+c74f20a3+ARpc")]
    [InlineData("PeterNeumann+c74f20a3")]
    public void TextThatIsNoVerifierKey_IsRefused(string text) => Assert.False(VerifierKey.TryParse(text, out _));

    [Fact]
    public void NoteOfGo_IsTakenApart()
    {
        Assert.True(SignedNote.TryParse(Encoding.UTF8.GetBytes(Signed), out SignedNote? note));
        Assert.Equal(Quote, note.Text);
        NoteSignature line = Assert.Single(note.Signatures);
        Assert.Equal(("PeterNeumann", 0xc74f20a3u, 64), (line.Name, line.KeyId, line.Signature.Length));
    }

    [Theory]
    [InlineData("text\n")]
    [InlineData("text\n\n")]
    [InlineData("text\n\n- name AAAAAAA=\n")]
    [InlineData("text\n\n\u2014 name\n")]
    [InlineData("text\n\n\u2014 name AAAA\n")]
    [InlineData("text\n\n\u2014 na+me AAAAAAA=\n")]
    [InlineData("te\rxt\n\n\u2014 name AAAAAAAA\n")]
    [InlineData("text\n\n\u2014 name AAAAAAAA")]
    public void TextThatIsNoNote_IsRefused(string text) => Assert.False(SignedNote.TryParse(Encoding.UTF8.GetBytes(text), out _));

    [Fact]
    public void ForeignSignatures_AreIgnored_AndOneBadOwnOneRefusesTheNote()
    {
        Assert.True(VerifierKey.TryParse(PeterKey, out VerifierKey? key));
        Assert.True(SignedNote.TryParse(Encoding.UTF8.GetBytes(Signed + "\u2014 other AAAAAAAA\n"), out SignedNote? note));
        Assert.True(note.IsSignedBy(key, (_, _, _) => true));
        Assert.False(note.IsSignedBy(key, (_, _, _) => false));
        Assert.True(SignedNote.TryParse(Encoding.UTF8.GetBytes("text\n\n\u2014 other AAAAAAAA\n"), out SignedNote? foreign));
        Assert.False(foreign.IsSignedBy(key, (_, _, _) => true));
    }

    [Fact]
    public void Checkpoint_IsReadAndWritten()
    {
        const string text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        Assert.True(Checkpoint.TryParse(text, out Checkpoint? checkpoint));
        Assert.Equal(20852163, checkpoint.Size);
        Assert.Equal(text, checkpoint.Text);
    }

    [Theory]
    [InlineData("\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")]
    [InlineData("o\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")]
    [InlineData("o\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")]
    [InlineData("o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n")]
    [InlineData("o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nmore\n")]
    [InlineData("o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")]
    public void TextThatIsNoCheckpoint_IsRefused(string text) => Assert.False(Checkpoint.TryParse(text, out _));
}
