using Risk.Core.Models;

namespace Risk.Core.Tests.Models;

public sealed class OnnxForestReaderTests
{
    [Theory]
    [InlineData("BRANCH_LT")]
    [InlineData("BRANCH_LEQ")]
    [InlineData("BRANCH_GT")]
    [InlineData("BRANCH_GTE")]
    public void WrittenForest_IsReadBackToTheNode(string mode)
    {
        var written = RandomTrees.Forest(1, 10, 6, 8);
        Assert.True(OnnxForestReader.TryRead(OnnxForestWriter.Write(written, mode), out var read, out var refusal), refusal?.Reason);
        Assert.Equal((written.TreeCount, written.NodeCount, written.FeatureCount, written.Depth), (read.TreeCount, read.NodeCount, read.FeatureCount, read.Depth));
        Assert.Equal((written.BaseMargin, written.Link, "features", "score", true), (read.BaseMargin, read.Link, read.InputName, read.OutputName, read.HasCover));
        for (var t = 0; t < written.TreeCount; t++)
        {
            Assert.Equal(written.Tree(t).ToArray(), read.Tree(t).ToArray());
        }
    }

    [Fact]
    public void EveryTruncation_IsRefused_NotThrown()
    {
        var onnx = OnnxForestWriter.Write(RandomTrees.Forest(2, 2, 3, 4));
        for (var length = 0; length < onnx.Length; length++)
        {
            if (!OnnxForestReader.TryRead(onnx.AsSpan(0, length), out _, out var refusal))
            {
                Assert.NotEmpty(refusal.Reason);
            }
            else
            {
                // Only the trailing operator-set ids may be missing without harm to the graph.
                Assert.True(length > onnx.Length - 40, $"{length} of {onnx.Length} bytes were read");
            }
        }
    }

    [Fact]
    public void EveryFlippedByte_IsReadOrRefused_NotThrown()
    {
        var onnx = OnnxForestWriter.Write(RandomTrees.Forest(3, 2, 3, 4));
        for (var i = 0; i < onnx.Length; i++)
        {
            foreach (var mask in new byte[] { 0x01, 0x80, 0xFF })
            {
                var hostile = onnx.ToArray();
                hostile[i] ^= mask;
                if (OnnxForestReader.TryRead(hostile, out var forest, out _))
                {
                    _ = forest.Margin(new float[forest.FeatureCount]);
                }
            }
        }
    }

    [Fact]
    public void RandomBytes_AreUntrusted()
    {
        var random = new Random(4);
        for (var i = 0; i < 2000; i++)
        {
            var bytes = new byte[random.Next(200)];
            random.NextBytes(bytes);
            Assert.False(OnnxForestReader.TryRead(bytes, out _, out var refusal));
            Assert.NotNull(refusal);
        }
    }

    [Fact]
    public void ExternalTensor_IsUntrusted()
    {
        // A tensor whose data_location (14) is EXTERNAL (1), as an initializer and inside an attribute of a node.
        var external = new ProtoWriter().Varint(1, 4).Varint(2, 1).Message(13, new ProtoWriter().Text(1, "location").Text(2, "../../etc/passwd")).Varint(14, 1);
        AssertRefused(ModelCodes.Untrusted, "external", new ProtoWriter().Message(5, external));
        AssertRefused(ModelCodes.Untrusted, "external", new ProtoWriter().Message(1, new ProtoWriter().Text(4, "Constant").Message(5, OnnxForestWriter.Attribute("value", 4).Message(5, external))));
    }

    [Fact]
    public void ExternalTensor_InANestedGraph_IsUntrusted()
    {
        var external = new ProtoWriter().Varint(14, 1);
        var inner = new ProtoWriter().Message(5, external);
        AssertRefused(ModelCodes.Untrusted, "external", new ProtoWriter().Message(1, new ProtoWriter().Text(4, "If").Message(5, OnnxForestWriter.Attribute("then_branch", 5).Message(6, inner))));
    }

    [Fact]
    public void UnknownDomain_IsUnsupported() =>
        AssertRefused(ModelCodes.Unsupported, "evil.example", new ProtoWriter().Message(1, new ProtoWriter().Text(4, "Run").Text(7, "evil.example")));

    [Fact]
    public void HugeDimensions_AreUnsupported()
    {
        AssertRefused(ModelCodes.Unsupported, "elements", new ProtoWriter().Message(5, new ProtoWriter().Varint(1, 1L << 40).Varint(2, 1)));
        AssertRefused(ModelCodes.Unsupported, "elements", new ProtoWriter().Message(5, new ProtoWriter().Varints(1, [1L << 20, 1L << 20]).Varint(2, 1)));
        AssertRefused(ModelCodes.Unsupported, "elements", new ProtoWriter().Message(5, new ProtoWriter().Varint(1, -1).Varint(2, 1)));
        var shape = new ProtoWriter().Message(1, new ProtoWriter().Varint(1, 1L << 50));
        AssertRefused(ModelCodes.Unsupported, "elements", new ProtoWriter().Message(11, new ProtoWriter().Text(1, "x").Message(2, new ProtoWriter().Message(1, new ProtoWriter().Varint(1, 1).Message(2, shape)))));
    }

    [Fact]
    public void LyingDimensions_AreUntrusted() =>
        AssertRefused(ModelCodes.Untrusted, "declares 4 elements", new ProtoWriter().Message(5, new ProtoWriter().Varint(1, 4).Varint(2, 1).Bytes(9, new byte[12])));

    [Fact]
    public void DeeplyNestedGraphs_AreUnsupported()
    {
        var graph = new ProtoWriter();
        for (var i = 0; i < 5000; i++)
        {
            graph = new ProtoWriter().Message(1, new ProtoWriter().Message(5, new ProtoWriter().Message(6, graph)));
        }

        AssertRefused(ModelCodes.Unsupported, "nested", graph);
    }

    [Theory]
    [InlineData("Conv", "node of the type Conv")]
    [InlineData("Identity", "no TreeEnsembleRegressor")]
    public void OtherGraphs_AreUnsupported_AndSayWhatIsThere(string op, string reason) =>
        AssertRefused(ModelCodes.Unsupported, reason, new ProtoWriter().Message(1, new ProtoWriter().Text(1, "a").Text(2, "b").Text(4, op)));

    [Theory]
    [InlineData("aggregate_function", "AVERAGE")]
    [InlineData("post_transform", "SOFTMAX")]
    public void OtherWaysToAggregate_AreUnsupported(string attribute, string value) =>
        AssertRefused(ModelCodes.Unsupported, value, Trees(OnnxForestWriter.Attribute(attribute, 3).Text(4, value)));

    [Fact]
    public void TwoTargets_AreUnsupported() => AssertRefused(ModelCodes.Unsupported, "2 targets", Trees(OnnxForestWriter.Attribute("n_targets", 2).Varint(3, 2)));

    [Fact]
    public void UnknownAttribute_IsUnsupported() => AssertRefused(ModelCodes.Unsupported, "nodes_values_as_tensor", Trees(OnnxForestWriter.Attribute("nodes_values_as_tensor", 4)));

    [Fact]
    public void LoopsAndSharedNodes_AreNoTree()
    {
        AssertNoTree([ForestNode.Split(0, 0, 0, 0)], "twice");
        AssertNoTree([ForestNode.Split(0, 0, 1, 1), ForestNode.Leaf(1)], "twice");
        AssertNoTree([ForestNode.Split(0, 0, 1, 7), ForestNode.Leaf(1)], "points to node 7");
        AssertNoTree([ForestNode.Split(0, 0, 1, -2), ForestNode.Leaf(1)], "points to node -2");
        AssertNoTree([ForestNode.Leaf(1), ForestNode.Leaf(1)], "does not reach");
        AssertNoTree([], "no nodes");
        AssertNoTree([ForestNode.Leaf(float.NaN)], "leaf of NaN");
        AssertNoTree([ForestNode.Split(3, 0, 1, 2), ForestNode.Leaf(1), ForestNode.Leaf(1)], "feature 3 of 3");
        AssertNoTree([ForestNode.Split(0, float.NaN, 1, 2), ForestNode.Leaf(1), ForestNode.Leaf(1)], "NaN");
    }

    [Fact]
    public void AChainOfAHundredThousandSplits_IsRefused_NotAStackOverflow()
    {
        var nodes = new ForestNode[200_001];
        for (var i = 0; i < 100_000; i++)
        {
            nodes[2 * i] = ForestNode.Split(0, i, (2 * i) + 1, (2 * i) + 2);
            nodes[(2 * i) + 1] = ForestNode.Leaf(1);
        }

        nodes[^1] = ForestNode.Leaf(2);
        AssertNoTree(nodes, "deeper than");
    }

    private static ProtoWriter Trees(ProtoWriter attribute) =>
        new ProtoWriter()
            .Message(1, new ProtoWriter().Text(1, "x").Text(2, "y").Text(4, "TreeEnsembleRegressor").Message(5, attribute).Text(7, "ai.onnx.ml"))
            .Message(11, OnnxForestWriter.Value("x", 3))
            .Message(12, OnnxForestWriter.Value("y", 1));

    private static void AssertRefused(string code, string reason, ProtoWriter graph)
    {
        Assert.False(OnnxForestReader.TryRead(new ProtoWriter().Varint(1, 8).Message(7, graph).ToArray(), out _, out var refusal));
        Assert.Equal(code, refusal.Code);
        Assert.Contains(reason, refusal.Reason, StringComparison.Ordinal);
    }

    private static void AssertNoTree(ForestNode[] nodes, string reason)
    {
        Assert.False(Forest.TryBuild([nodes], 3, 0, ForestLink.None, "x", "y", out _, out var refusal));
        Assert.Equal(ModelCodes.Unsupported, refusal.Code);
        Assert.Contains(reason, refusal.Reason, StringComparison.Ordinal);
    }
}
