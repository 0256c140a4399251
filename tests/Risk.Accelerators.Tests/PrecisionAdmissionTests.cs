using System.Text;
using Risk.Cli;
using Risk.Core;
using Risk.Core.Decisions;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Service.Engine;

namespace Risk.Accelerators.Tests;

/// <summary>A model in fewer bits serves only where the policy says how far its scores may be off.</summary>
public sealed class PrecisionAdmissionTests
{
    [Theory]
    [InlineData("card-fraud-sequence@1-fp16")]
    [InlineData("card-fraud-sequence@1-int8")]
    public void ModelInFewerBits_IsRefused_UnlessThePolicyAdmitsItsDistance(string reference)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        StreamFiles files = StreamFiles.Load("card-payments-sequence");
        ModelBundle bundle = ModelFiles.Load(reference);
        Assert.False(ServingModel.TryOpen(bundle, files.Definition, 16, out _, out ModelRefusal? refusal));
        Assert.Equal(ModelCodes.PrecisionNotAdmitted, refusal.Code);
        Assert.Contains("scoreDifferenceMax", refusal.Reason, StringComparison.Ordinal);

        double bound = bundle.Manifest.Precision!.DifferenceMax;
        Assert.NotNull(ModelPrecision.Check(bundle.Manifest, PolicyWith(bound * 0.99)));
        Assert.Null(ModelPrecision.Check(bundle.Manifest, PolicyWith(bound)));
        Assert.Null(ModelPrecision.Check(ModelFiles.Load("card-fraud-sequence@1").Manifest, files.Definition.Policy));
        // The golden run holds it to what its manifest states, and not to more.
        Assert.True(ScorerSelection.TrySelect(bundle, 16, out ScorerSelection? selection, out refusal), refusal?.Reason);
        selection.Dispose();
        Assert.Equal(bound, bundle.Golden.Tolerance);
    }

    private static Policy PolicyWith(double scoreDifferenceMax)
    {
        string folder = Path.Combine(RiskHome.Find(), "streams", "card-payments-sequence"), text = File.ReadAllText(Path.Combine(folder, "policy.json"));
        byte[] changed = Encoding.UTF8.GetBytes(text.Replace("\"version\": 1,", FormattableString.Invariant($"\"version\": 1, \"scoreDifferenceMax\": {scoreDifferenceMax:R},"), StringComparison.Ordinal));
        List<DefinitionError> errors = [];
        StreamDefinition? read = StreamDefinition.Read(File.ReadAllBytes(Path.Combine(folder, "schema.json")), File.ReadAllBytes(Path.Combine(folder, "features.json")), changed, folder, errors);
        return read?.Policy ?? throw new InvalidOperationException(string.Join("; ", errors.Select(e => e.Sentence)));
    }
}
