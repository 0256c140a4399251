using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using static Risk.Inference.Tests.RandomForests;

namespace Risk.Inference.Tests;

public sealed class ModelVariantTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("risk-variant-").FullName;
    private readonly Forest _forest = Create(21, new Shape(20, 5, 6, MissingRightShare: 0.4));

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Variant_IsABundleOfItsOwnBytes_AndScoresTheGoldenRows()
    {
        Write();
        Assert.True(Load().TryLoadVariant("tensor", out var variant, out var refusal), refusal?.ToString());
        Assert.Equal("tensor", variant.Variant!.Name);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(variant.Onnx)), variant.Sha256);
        Assert.NotEqual(variant.Manifest.Sha256, variant.Sha256);
        Assert.True(ScorerSelection.TrySelect(variant, 16, out var selection, out refusal), refusal?.ToString());
        using (selection)
        {
            Assert.IsType<OnnxSession>(selection.Scorer);
        }
    }

    [Fact]
    public void ChangedVariant_IsUntrusted_AndTheModelStays()
    {
        Write();
        File.AppendAllText(Path.Combine(_directory, "tensor.onnx"), "x");
        Assert.False(Load().TryLoadVariant("tensor", out _, out var refusal));
        Assert.Equal(ModelCodes.Untrusted, refusal.Code);
        Assert.Contains("tensor.onnx", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownVariant_IsUnsupported_AndTheOthersAreNamed()
    {
        Write();
        Assert.False(Load().TryLoadVariant("int8", out _, out var refusal));
        Assert.Equal(ModelCodes.Unsupported, refusal.Code);
        Assert.Contains("it has tensor", refusal.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"against\": \"sha256:", "\"against\": \"sha256:0", "'digest'")]
    [InlineData("MODEL", "0000000000000000000000000000000000000000000000000000000000000000", "convert again")]
    [InlineData("\"tensor.onnx\"", "\"../tensor.onnx\"", "not a path")]
    [InlineData("\"rows\": 50", "\"rows\": 0", "'rows' must be 1 or more")]
    [InlineData("\"maxAbsoluteDifference\": 1e-7", "\"maxAbsoluteDifference\": -1", "'maxAbsoluteDifference' must be 0 or more")]
    public void BadEntry_MakesTheManifestUntrusted(string good, string bad, string reason)
    {
        Write();
        var path = Path.Combine(_directory, "model.json");
        var digest = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(_directory, "model.onnx"))));
        var json = File.ReadAllText(path).Replace($"\"against\": \"sha256:{digest}", "\"against\": \"sha256:MODEL", StringComparison.Ordinal);
        File.WriteAllText(path, json.Replace(good, bad, StringComparison.Ordinal).Replace("MODEL", digest, StringComparison.Ordinal));
        Assert.False(ModelBundle.TryLoad(_directory, out _, out var refusal));
        Assert.Equal(ModelCodes.Untrusted, refusal.Code);
        Assert.Contains(reason, refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Comparison_FindsAWrongDirectionOfMissingValues()
    {
        // The other forest differs in one bit of one node alone, so most rows do not notice.
        Write();
        var trees = Enumerable.Range(0, _forest.TreeCount).Select(t => _forest.Tree(t).ToArray()).ToList();
        trees[7][0] = trees[7][0] with { MissingRight = !trees[7][0].MissingRight };
        var other = Build(trees, _forest.FeatureCount);
        var golden = Load().Golden;
        using var model = new ForestKernel(_forest, 64);
        using var same = new ForestKernel(_forest, 64);
        using var wrong = new ForestKernel(other, 64);
        Assert.True(VariantComparison.Run(golden, _forest, model, same).Conforms);
        Assert.False(VariantComparison.Run(golden, _forest, model, wrong).Conforms);
    }

    private ModelBundle Load()
    {
        Assert.True(ModelBundle.TryLoad(_directory, out var bundle, out var refusal), refusal?.ToString());
        return bundle;
    }

    private void Write()
    {
        var onnx = OnnxForestWriter.Write(_forest);
        Assert.True(TensorForest.TryWrite(_forest, TensorStrategy.Gemm, out var tensor, out _));
        var inputs = Enumerable.Range(0, _forest.FeatureCount).Select(f => $"f{f}").ToArray();
        var rows = Rows(9, _forest, 50);
        var golden = new StringBuilder(string.Join(',', inputs.Append("score")) + "\n");
        for (var r = 0; r < 50; r++)
        {
            var row = rows.AsSpan(r * inputs.Length, inputs.Length);
            golden.AppendJoin(',', row.ToArray().Append(_forest.Output(_forest.Margin(row))).Select(v => v.ToString("R", CultureInfo.InvariantCulture))).Append('\n');
        }

        File.WriteAllBytes(Path.Combine(_directory, "model.onnx"), onnx);
        File.WriteAllBytes(Path.Combine(_directory, "tensor.onnx"), tensor);
        File.WriteAllText(Path.Combine(_directory, "golden.csv"), golden.ToString());
        var digest = Convert.ToHexStringLower(SHA256.HashData(onnx));
        File.WriteAllText(Path.Combine(_directory, "model.json"), $$"""
            { "name": "test", "version": "1", "purpose": "fraud", "owner": "nobody", "licence": "Apache-2.0", "digest": "sha256:{{digest}}",
              "inputs": [{{string.Join(',', inputs.Select(i => $"\"{i}\""))}}], "output": "score",
              "variants": [{ "name": "tensor", "model": "tensor.onnx", "digest": "sha256:{{Convert.ToHexStringLower(SHA256.HashData(tensor))}}", "form": "gemm",
                "parity": { "against": "sha256:{{digest}}", "rows": 50, "maxAbsoluteDifference": 1e-7, "date": "2026-11-22" } }] }
            """);
    }
}
