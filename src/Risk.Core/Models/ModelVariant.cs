namespace Risk.Core.Models;

/// <summary>
/// The same version of a model in another form that computes the same scores: trees as plain tensor operators for
/// accelerators, for one. It has bytes and a digest of its own, shares inputs, output, calibration and golden rows, and must
/// pass the golden run like the model itself before it may serve. A form that computes other scores (half precision, eight
/// bits) is no variant but a model version of its own: <see cref="ModelPrecision"/>.
/// </summary>
/// <param name="Name">Unique in the bundle.</param>
/// <param name="ModelFile">Name of the ONNX file beside the manifest; never a path.</param>
/// <param name="Sha256">SHA-256 of that file: 64 lower-case hexadecimal digits.</param>
/// <param name="Form">How it computes, for people: <c>gemm</c>, <c>tree-traversal</c>, ...</param>
public sealed record ModelVariant(string Name, string ModelFile, string Sha256, string Form, VariantParity Parity);

/// <summary>What was found when a variant was compared with its model.</summary>
/// <param name="Against">SHA-256 of the model it was compared with.</param>
/// <param name="RowCount">Rows compared.</param>
/// <param name="MaxAbsoluteDifference">The largest distance between two scores of a row.</param>
/// <param name="Date">Of the comparison, ISO 8601.</param>
public sealed record VariantParity(string Against, int RowCount, double MaxAbsoluteDifference, string Date);
