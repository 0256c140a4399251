using Risk.Cli;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

public sealed class DeviceModelTests
{
    [Theory]
    [InlineData("card-fraud@1", "fp16")]
    [InlineData("card-fraud-sequence@1", "fp16")]
    [InlineData("card-fraud-sequence@1", "gemm")]
    public void VariantThatCannotBe_IsRefused_AndNotReplacedByTheOriginal(string reference, string variant)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        ModelBundle bundle = ModelFiles.Load(reference);
        Assert.Null(DeviceModel.For(bundle, null, 8, out ModelRefusal? refusal, variant));
        Assert.Equal(ModelCodes.Unsupported, refusal?.Code);
        Assert.Contains($"'{variant}'", refusal!.Reason, StringComparison.Ordinal);
    }
}
