using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;

namespace Risk.Accelerators.Tests;

public sealed partial class PluginInterfaceTests
{
    [Fact]
    public void PlacesThatTheProviderCalls_AreTheBindings()
    {
        string source = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "PluginProvider", "ort.h"));
        source = source[source.IndexOf("#define RUNTIME(F)", StringComparison.Ordinal)..source.IndexOf("#define PROVIDER(F)", StringComparison.Ordinal)];
        MatchCollection functions = Function().Matches(source);
        Assert.True(functions.Count > 20);
        Assert.All(functions, function => Assert.Equal(int.Parse(function.Groups[1].ValueSpan, CultureInfo.InvariantCulture), (int)Marshal.OffsetOf<OrtApi>(function.Groups[2].Value) / nint.Size));
    }

    [GeneratedRegex(@"F\((\d+), [^,]+, (\w+), \(")]
    private static partial Regex Function();
}
