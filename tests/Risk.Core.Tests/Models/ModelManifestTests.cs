using System.Text;
using Risk.Core.Models;

namespace Risk.Core.Tests.Models;

public sealed class ModelManifestTests
{
    private const string Good = """
        { "name": "m", "version": "3", "purpose": "fraud", "owner": "o", "licence": "Apache-2.0", "model": "model.onnx",
          "digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
          "inputs": ["amount", "is_night"], "output": "score", "calibration": { "method": "platt", "a": 0.9, "b": -0.1 },
          "metrics": { "shipped": { "aucRoc": 0.9 } }, "reasons": { "amount": "The amount is unusual." }, "unknown": [1] }
        """;

    [Fact]
    public void GoodManifest_IsRead()
    {
        Assert.True(ModelManifest.TryRead(Encoding.UTF8.GetBytes(Good), out var manifest, out _));
        Assert.Equal(("m", "3", "score", "model.onnx"), (manifest.Name, manifest.Version, manifest.Output, manifest.ModelFile));
        Assert.Equal(["amount", "is_night"], manifest.Inputs);
        Assert.Equal(new ModelCalibration(0.9, -0.1), manifest.Calibration);
        Assert.Equal(0.9, manifest.Metrics["shipped.aucRoc"]);
        Assert.Equal("The amount is unusual.", manifest.ReasonTexts["amount"]);
        Assert.Equal("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", manifest.Sha256);
    }

    [Theory]
    [InlineData("\"name\": \"m\", ", "", "'name' is missing")]
    [InlineData("\"name\": \"m\"", "\"name\": 3", "'name' must be of the kind String")]
    [InlineData("sha256:0123", "sha256:X123", "'digest'")]
    [InlineData("sha256:", "md5:", "'digest'")]
    [InlineData("\"model.onnx\"", "\"../model.onnx\"", "not a path")]
    [InlineData("\"model.onnx\"", "\"/etc/passwd\"", "not a path")]
    [InlineData("[\"amount\", \"is_night\"]", "[]", "'inputs'")]
    [InlineData("\"is_night\"", "\"amount\"", "'amount' twice")]
    [InlineData("\"is_night\"", "7", "holds a Number")]
    [InlineData("\"platt\"", "\"isotonic\"", "isotonic")]
    [InlineData("\"a\": 0.9", "\"a\": -0.9", "a > 0")]
    [InlineData("\"a\": 0.9", "\"a\": \"x\"", "'a' must be of the kind Number")]
    [InlineData("\"version\"", "\"name\"", "name")]
    [InlineData("{ \"name\"", "[ \"name\"", "model.json")]
    public void BadManifest_IsUntrusted_AndSaysWhere(string good, string bad, string reason)
    {
        Assert.False(ModelManifest.TryRead(Encoding.UTF8.GetBytes(Good.Replace(good, bad, StringComparison.Ordinal)), out _, out var refusal));
        Assert.Equal(ModelCodes.Untrusted, refusal.Code);
        Assert.Contains(reason, refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Inputs_AreFoundByName_OrAreFeatureMismatch()
    {
        Assert.True(ModelManifest.TryRead(Encoding.UTF8.GetBytes(Good), out var manifest, out _));
        Assert.Null(manifest.MapInputs(["is_night", "other", "amount"], out var columns));
        Assert.Equal([2, 0], columns);
        var refusal = manifest.MapInputs(["amount", "other"], out _);
        Assert.Equal(ModelCodes.FeatureMismatch, refusal!.Code);
        Assert.Contains("'is_night'", refusal.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a,b,score\n1,NaN,0.5\n", null)]
    [InlineData("a,b,score\r\n1,2,0.5\r\n", null)]
    [InlineData("b,a,score\n1,2,0.5\n", ModelCodes.FeatureMismatch)]
    [InlineData("a,score\n1,0.5\n", ModelCodes.FeatureMismatch)]
    [InlineData("a,b,score\n1,2\n", ModelCodes.Untrusted)]
    [InlineData("a,b,score\n1,x,0.5\n", ModelCodes.Untrusted)]
    [InlineData("a,b,score\n", ModelCodes.Untrusted)]
    [InlineData("", ModelCodes.Untrusted)]
    public void GoldenRows_AreReadOrRefused(string csv, string? code)
    {
        GoldenRows.TryRead(csv, ["a", "b"], out var golden, out var refusal);
        Assert.Equal(code, refusal?.Code);
        Assert.Equal(code is null, golden is not null);
    }
}
