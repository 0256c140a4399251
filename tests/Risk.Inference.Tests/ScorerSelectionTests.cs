using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Risk.Core.Models;
using static Risk.Inference.Tests.RandomForests;

namespace Risk.Inference.Tests;

public sealed class ScorerSelectionTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("risk-bundle-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void ShippedModel_Conforms_AndTheKernelServesTheForests()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Risk.sln")))
        {
            directory = directory.Parent;
        }

        var models = Directory.GetDirectories(Path.Combine(directory!.FullName, "models"), "*", SearchOption.AllDirectories)
            .Where(path => File.Exists(Path.Combine(path, "model.json")))
            .ToArray();
        Assert.NotEmpty(models);
        foreach (var path in models)
        {
            Assert.True(ModelBundle.TryLoad(path, out var bundle, out var refusal), refusal?.ToString());
            Assert.True(ScorerSelection.TrySelect(bundle, 256, out var selection, out refusal), refusal?.ToString());
            using (selection)
            {
                Assert.All(selection.Conformance, report => Assert.True(report.Conforms, $"{path}: {report}"));
                var isForest = OnnxForestReader.TryRead(bundle.Onnx, out _, out _);
                Assert.Equal(isForest, selection.Scorer is ForestKernel);
                Assert.Equal(isForest, selection.Forest is not null);
            }

            foreach (var variant in bundle.Manifest.Variants)
            {
                Assert.True(bundle.TryLoadVariant(variant.Name, out var other, out refusal), refusal?.ToString());
                Assert.True(ScorerSelection.TrySelect(other, 64, out selection, out refusal), refusal?.ToString());
                selection.Dispose();
            }
        }
    }

    [Fact]
    public void ReadableModel_IsServedByTheKernel_AndBothConform()
    {
        Write(Create(1, new Shape(40, 5, 8, MissingRightShare: 0.5)));
        using var selection = Select();
        Assert.IsType<ForestKernel>(selection.Scorer);
        Assert.Equal(3, selection.Conformance.Count);
        Assert.All(selection.Conformance, report => Assert.True(report.Conforms, report.ToString()));
    }

    [Fact]
    public void UnreadableModel_IsServedByOnnxRuntime_WhichSaysWhy()
    {
        // Abs after the link changes nothing, but is no part of a forest.
        var forest = Create(2, new Shape(10, 4, 5));
        Write(forest, WithAbs(OnnxForestWriter.Write(forest)));
        using var selection = Select();
        Assert.IsType<OnnxSession>(selection.Scorer);
        Assert.Contains("node of the type Abs", selection.Reason, StringComparison.Ordinal);
        Assert.Null(selection.Forest);
    }

    [Fact]
    public void WrongGoldenScores_AreNotConforming()
    {
        Write(Create(3, new Shape(10, 4, 5)), error: 1e-5f);
        Assert.True(ModelBundle.TryLoad(_directory, out var bundle, out _));
        Assert.False(ScorerSelection.TrySelect(bundle, 16, out _, out var refusal));
        Assert.Equal(ModelCodes.NotConforming, refusal.Code);
    }

    [Theory]
    [InlineData("model.onnx", ModelCodes.Untrusted)]
    [InlineData("golden.csv", ModelCodes.FeatureMismatch)]
    public void ChangedFile_IsRefused(string file, string code)
    {
        Write(Create(4, new Shape(10, 4, 5)));
        var path = Path.Combine(_directory, file);
        var bytes = File.ReadAllBytes(path);
        bytes[0] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.False(ModelBundle.TryLoad(_directory, out _, out var refusal));
        Assert.Equal(code, refusal.Code);
    }

    [Theory]
    [InlineData("model.json")]
    [InlineData("model.onnx")]
    [InlineData("golden.csv")]
    public void MissingFile_IsUntrusted(string file)
    {
        Write(Create(4, new Shape(10, 4, 5)));
        File.Delete(Path.Combine(_directory, file));
        Assert.False(ModelBundle.TryLoad(_directory, out _, out var refusal));
        Assert.Equal(ModelCodes.Untrusted, refusal.Code);
        Assert.Contains(file, refusal.Reason, StringComparison.Ordinal);
    }

    private ScorerSelection Select()
    {
        Assert.True(ModelBundle.TryLoad(_directory, out var bundle, out var refusal), refusal?.ToString());
        Assert.True(ScorerSelection.TrySelect(bundle, 16, out var selection, out refusal), refusal?.ToString());
        return selection;
    }

    private void Write(Forest forest, byte[]? onnx = null, float error = 0)
    {
        onnx ??= OnnxForestWriter.Write(forest);
        var inputs = Enumerable.Range(0, forest.FeatureCount).Select(f => $"f{f}").ToArray();
        var rows = Rows(9, forest, 50);
        var golden = new StringBuilder(string.Join(',', inputs.Append("score")) + "\n");
        for (var r = 0; r < 50; r++)
        {
            var row = rows.AsSpan(r * inputs.Length, inputs.Length);
            var fields = row.ToArray().Append(forest.Output(forest.Margin(row)) + error);
            golden.AppendJoin(',', fields.Select(v => v.ToString("R", CultureInfo.InvariantCulture))).Append('\n');
        }

        File.WriteAllBytes(Path.Combine(_directory, "model.onnx"), onnx);
        File.WriteAllText(Path.Combine(_directory, "golden.csv"), golden.ToString());
        File.WriteAllText(Path.Combine(_directory, "model.json"), $$"""
            { "name": "test", "version": "1", "purpose": "fraud", "owner": "nobody", "licence": "Apache-2.0",
              "digest": "sha256:{{Convert.ToHexStringLower(SHA256.HashData(onnx))}}",
              "inputs": [{{string.Join(',', inputs.Select(i => $"\"{i}\""))}}], "output": "score" }
            """);
    }

    /// <summary>Renames the graph's own score and adds the node Abs from there to "score".</summary>
    private static byte[] WithAbs(byte[] onnx)
    {
        var reader = new ProtoWalk(onnx);
        return reader.InsertNode("score", "before", "Abs");
    }
}
