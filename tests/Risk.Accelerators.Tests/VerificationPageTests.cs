using Risk.Cli.Accelerators;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>The page for whoever buys or approves a device.</summary>
public sealed class VerificationPageTests
{
    private static readonly VerifiedDevice s_sound = new("cpu", "CPUExecutionProvider", "Processor, by ONNX Runtime", "card-fraud@1", "original", "ab12", "", "", null) { Parity = new ScoreParity(10, 0, 0, 0, 0, 0) };
    private static readonly VerifiedDevice s_absent = new("card", "FooExecutionProvider", "", "card-fraud@1", "", "", "", "", new DeviceRefusal("card", "DEVICE_MISSING", "no such card"));

    [Fact]
    public void DeviceThatDidNotOpen_IsSaidToBeUnchecked_WithoutEmptyPlaces()
    {
        string page = Render(s_sound, s_absent);
        Assert.Contains("Nothing was run on it; it would be reached by FooExecutionProvider. card-fraud@1 was to be compared.", page, StringComparison.Ordinal);
        Assert.Contains("no such card", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<p>,", page, StringComparison.Ordinal);
        Assert.DoesNotContain("sha256:<", page, StringComparison.Ordinal);
        Assert.Contains("Processor, by ONNX Runtime, CPUExecutionProvider. Model card-fraud@1 as original, <code>sha256:ab12</code>", page, StringComparison.Ordinal);
    }

    [Fact]
    public void OneLineOnTop_IsTheAnswerForAllDevices()
    {
        Assert.Contains("</h1><p class=\"verdict ok\">All 2 devices conform.</p>", Render(s_sound, s_sound), StringComparison.Ordinal);
        Assert.Contains("</h1><p class=\"verdict no\">1 of 2 devices does not conform: card (not checked: DEVICE_MISSING).</p>", Render(s_sound, s_absent), StringComparison.Ordinal);
        Assert.Equal("2 of 3 devices do not conform: card (not checked: DEVICE_MISSING), cpu.", VerifiedDevice.Verdict([s_absent, s_sound, s_sound with { FlipCount = 1 }]));
    }

    private static string Render(params VerifiedDevice[] devices) => VerificationPage.Render(devices, "card-payments", 10, "a machine", "1.29.0", default);
}
