using System.Security.Cryptography;
using Risk.Core.Log;

namespace Risk.Core.Tests.Log;

public class PrivatePayloadTests
{
    private static readonly byte[] Salt = [.. Enumerable.Range(0, 16).Select(i => (byte)i)];

    [Fact]
    public void Payload_WrittenAndRead_IsTheSame()
    {
        byte[] payload = Write([1, 2, 3], [1.5f, float.NaN, -0f]);
        Assert.Equal(RecordFault.None, PrivatePayloadCodec.Read(payload, out PrivatePayload view));
        Assert.Equal(Salt, view.Salt);
        Assert.Equal(new byte[] { 1, 2, 3 }, view.Transaction);
        float[] features = new float[view.FeatureCount];
        view.CopyFeatures(features);
        Assert.Equal([1.5f, float.NaN, -0f], features);
    }

    [Fact]
    public void Commitment_IsSha256OfTheBytes()
    {
        byte[] payload = Write([1], [2f]);
        byte[] commitment = new byte[32];
        PrivatePayloadCodec.Commit(payload, commitment);
        Assert.Equal(SHA256.HashData(payload), commitment);
    }

    [Fact]
    public void TruncatedAnywhere_IsRefused()
    {
        byte[] payload = Write([1, 2, 3], [1f, 2f]);
        for (int length = 0; length < payload.Length; length++)
        {
            Assert.NotEqual(RecordFault.None, PrivatePayloadCodec.Read(payload.AsSpan(0, length), out _));
        }

        Assert.NotEqual(RecordFault.None, PrivatePayloadCodec.Read([.. payload, 0], out _));
    }

    [Fact]
    public void BytesMax_IsAnUpperBound() =>
        Assert.True(Write(new byte[300], new float[70]).Length <= PrivatePayloadCodec.BytesMax(300, 70));

    private static byte[] Write(byte[] transaction, float[] features)
    {
        byte[] buffer = new byte[PrivatePayloadCodec.BytesMax(transaction.Length, features.Length)];
        return buffer[..PrivatePayloadCodec.Write(Salt, transaction, features, buffer)];
    }
}
