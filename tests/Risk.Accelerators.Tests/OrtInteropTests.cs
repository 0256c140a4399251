using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Risk.Core.Models.Tensors;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

public sealed class OrtInteropTests
{
    [Theory]
    [InlineData(nameof(OrtInterop.GetErrorMessage), OrtInterop.GetErrorMessage)]
    [InlineData(nameof(OrtInterop.ReleaseStatus), OrtInterop.ReleaseStatus)]
    [InlineData("BindInput", OrtInterop.BindInputPlace)]
    [InlineData("CopyTensors", OrtInterop.CopyTensorsPlace)]
    [InlineData("SessionOptionsAppendExecutionProvider_CANN", OrtInterop.AppendCann)]
    [InlineData("CreateCANNProviderOptions", OrtInterop.CreateCann)]
    [InlineData("UpdateCANNProviderOptions", OrtInterop.UpdateCann)]
    [InlineData("ReleaseCANNProviderOptions", OrtInterop.ReleaseCann)]
    [InlineData("Session_GetEpGraphAssignmentInfo", OrtInterop.GetAssignment)]
    [InlineData("EpAssignedSubgraph_GetEpName", OrtInterop.SubgraphProvider)]
    [InlineData("EpAssignedSubgraph_GetNodes", OrtInterop.SubgraphNodes)]
    [InlineData("EpAssignedNode_GetName", OrtInterop.NodeName)]
    [InlineData("EpAssignedNode_GetOperatorType", OrtInterop.NodeOperator)]
    public void PlaceInTheInterface_IsTheBindings(string function, int place) =>
        Assert.Equal(place, (int)Marshal.OffsetOf<OrtApi>(function) / nint.Size);

    [Fact]
    public void EveryNode_IsAssigned_ToTheProcessor_WhenThereIsNothingElse()
    {
        using var options = SessionOpening.Options();
        options.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1");
        using var session = new InferenceSession(ProbeModel.Layers(5, 8), options);
        List<AssignedNode> nodes = OrtInterop.Assignment(session);
        Assert.Contains(nodes, node => node.OperatorType is "MatMul" or "Gemm");
        Assert.All(nodes, node => Assert.Equal("CPUExecutionProvider", node.ExecutionProvider));
    }
}
