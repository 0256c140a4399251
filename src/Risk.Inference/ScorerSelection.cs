using System.Diagnostics.CodeAnalysis;
using Risk.Core.Models;

namespace Risk.Inference;

/// <summary>
/// The scorer that serves a bundle, and why. The golden scores, made by the library that trained the model, are the measure
/// of both. The forest kernel serves when it can read the model and conforms, and agrees with ONNX Runtime where that conforms,
/// too; otherwise ONNX Runtime serves, if it conforms; otherwise nobody does.
/// The choice depends on the bundle and the processor alone, so it is the same at every start.
/// </summary>
public sealed class ScorerSelection : IDisposable
{
    private ScorerSelection(IScorer scorer, Forest? forest, string reason, IReadOnlyList<ConformanceReport> conformance) =>
        (Scorer, Forest, Reason, Conformance) = (scorer, forest, reason, conformance);

    /// <summary>Owned by this selection.</summary>
    public IScorer Scorer { get; }

    /// <summary>The model's trees, for explanations; null when it is none that can be read.</summary>
    public Forest? Forest { get; }

    /// <summary>One sentence: who serves and what was measured, or why the kernel does not.</summary>
    public string Reason { get; }

    /// <summary>The runs over the golden rows: ONNX Runtime; then, if the kernel read the model, the kernel, and the kernel against ONNX Runtime.</summary>
    public IReadOnlyList<ConformanceReport> Conformance { get; }

    /// <summary>Selects and opens the scorer of a bundle, golden run included.</summary>
    /// <param name="batchSizeMax">Rows a call will bring at most.</param>
    public static bool TrySelect(ModelBundle bundle, int batchSizeMax, [NotNullWhen(true)] out ScorerSelection? selection, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        selection = null;
        var inputs = bundle.Manifest.Inputs.Count;
        if (!OnnxSession.TryOpen(bundle.Onnx, inputs, bundle.Manifest.Output, batchSizeMax, out var session, out refusal))
        {
            return false;
        }

        var reports = new List<ConformanceReport> { bundle.Golden.Check(session) };
        if (TryKernel(bundle, batchSizeMax, session, reports, out var kernel, out var forest, out var whyNot))
        {
            session.Dispose();
            var runtime = reports[0].Conforms
                ? $"within {reports[2].MaxAbsoluteDifference:0.0e+0} of ONNX Runtime"
                : $"ONNX Runtime is {reports[0].MaxAbsoluteDifference:0.0e+0} away from golden row {reports[0].WorstRow} and cannot stand in";
            selection = new ScorerSelection(
                kernel,
                forest,
                $"{kernel.ExecutionProvider} reads the model and is within {reports[1].MaxAbsoluteDifference:0.0e+0} of the {bundle.Golden.Count} golden scores; {runtime}",
                reports);
            return true;
        }

        if (!reports[0].Conforms)
        {
            session.Dispose();
            refusal = new ModelRefusal(
                ModelCodes.NotConforming,
                $"ONNX Runtime is {reports[0].MaxAbsoluteDifference:0.0e+0} away from golden row {reports[0].WorstRow}; {reports[0].Tolerance:0e+0} is allowed");
            return false;
        }

        selection = new ScorerSelection(session, forest, $"ONNX Runtime serves, because {whyNot}", reports);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => Scorer.Dispose();

    private static bool TryKernel(
        ModelBundle bundle,
        int batchSizeMax,
        OnnxSession session,
        List<ConformanceReport> reports,
        [NotNullWhen(true)] out ForestKernel? kernel,
        out Forest? forest,
        [NotNullWhen(false)] out string? whyNot)
    {
        (kernel, whyNot) = (null, null);
        if (!OnnxForestReader.TryRead(bundle.Onnx, out forest, out var refusal))
        {
            whyNot = $"the forest kernel cannot read the model: {refusal.Reason}";
            return false;
        }

        if (forest.FeatureCount != bundle.Manifest.Inputs.Count || forest.OutputName != bundle.Manifest.Output)
        {
            whyNot = $"the trees take {forest.FeatureCount} features and give '{forest.OutputName}', the manifest says {bundle.Manifest.Inputs.Count} and '{bundle.Manifest.Output}'";
            return false;
        }

        var candidate = new ForestKernel(forest, batchSizeMax);
        var toGolden = bundle.Golden.Check(candidate);
        var toRuntime = Compare(bundle.Golden, candidate, session);
        reports.AddRange([toGolden, toRuntime]);
        if (!toGolden.Conforms || (reports[0].Conforms && !toRuntime.Conforms))
        {
            whyNot = $"the forest kernel is {toGolden.MaxAbsoluteDifference:0.0e+0} away from the golden scores and {toRuntime.MaxAbsoluteDifference:0.0e+0} from ONNX Runtime";
            candidate.Dispose();
            return false;
        }

        kernel = candidate;
        return true;
    }

    private static ConformanceReport Compare(GoldenRows golden, ForestKernel kernel, OnnxSession session)
    {
        var (ours, theirs) = (new float[golden.Count], new float[golden.Count]);
        return golden.Run(kernel, ours) == ScoringStatus.Scored && golden.Run(session, theirs) == ScoringStatus.Scored
            ? ConformanceReport.Compare($"{kernel.ExecutionProvider} against {session.ExecutionProvider}", ours, theirs)
            : ConformanceReport.Failed(kernel.ExecutionProvider, golden.Count);
    }
}
