using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>
/// The library of <c>PluginProvider/provider.c</c>, as a vendor would ship it: compiled once for each state of its source, and
/// opened by the engine's own configuration.
/// </summary>
internal static unsafe class PluginLibrary
{
    public const string OnHost = "AcmeExecutionProvider", OnOwnMemory = "AcmeMemoryExecutionProvider";

    private static readonly Lazy<(string? Path, string? Missing)> s_compiled = new(Compile);

    /// <summary>Why it cannot be used here; null when it can.</summary>
    public static string? Missing => s_compiled.Value.Missing;

    public static string Path => s_compiled.Value.Path ?? throw new InvalidOperationException(Missing);

    public static AcceleratorConfiguration Configuration(string provider, params (string Key, string Value)[] options) =>
        new("acme", provider, Path, options.ToDictionary(o => o.Key, o => o.Value), 0, null);

    public static AcceleratorDevice Open(string provider, params (string Key, string Value)[] options) => Open(Configuration(provider, options));

    public static AcceleratorDevice Open(AcceleratorConfiguration configuration)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        Assert.True(AcceleratorDevice.TryOpen(configuration, out AcceleratorDevice? device, out DeviceRefusal? refusal), refusal?.ToString());
        return device;
    }

    /// <summary>What the library itself has counted: <c>computed</c> nodes, <c>living</c> providers, <c>copied</c> floats, <c>allocated</c> blocks.</summary>
    /// <param name="library">Another file than the usual one.</param>
    public static long Count(string what, string? library = null) => Volatile.Read(ref Variable(what, library ?? Path));

    /// <summary>The same library once more, as another file, with the first of its providers only.</summary>
    public static void Copy(string path)
    {
        File.Copy(Path, path);
        Variable("is_without_memory", path) = 1;
    }

    private static ref long Variable(string name, string library) => ref *(long*)NativeLibrary.GetExport(NativeLibrary.Load(library), $"acme_{name}");

    private static (string? Path, string? Missing) Compile()
    {
        if (!OperatingSystem.IsLinux()) { return (null, "it is compiled on Linux only"); }
        string source = System.IO.Path.Combine(AppContext.BaseDirectory, "PluginProvider");
        byte[] text = [.. File.ReadAllBytes(System.IO.Path.Combine(source, "ort.h")), .. File.ReadAllBytes(System.IO.Path.Combine(source, "provider.c"))];
        string path = System.IO.Path.Combine(source, $"libacme_provider-{Convert.ToHexStringLower(SHA256.HashData(text))[..16]}.so");
        if (File.Exists(path)) { return (path, null); }
        string made = $"{path}.{Environment.ProcessId}";
        var start = new ProcessStartInfo("gcc", ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-fvisibility=hidden", "-shared", "-fPIC", "-o", made, System.IO.Path.Combine(source, "provider.c"), "-lm"]) { RedirectStandardError = true };
        try
        {
            using Process compiler = Process.Start(start)!;
            string said = compiler.StandardError.ReadToEnd();
            compiler.WaitForExit();
            // A compiler that is there and refuses is a fault of ours, not a reason to skip.
            if (compiler.ExitCode != 0) { throw new InvalidOperationException($"gcc refuses provider.c: {said}"); }
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return (null, "there is no C compiler (apt-get install gcc libc6-dev)");
        }
        File.Move(made, path, overwrite: true);
        return (path, null);
    }
}

/// <summary>Skipped, with the reason, where the library cannot be compiled.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PluginFactAttribute : FactAttribute
{
    public PluginFactAttribute() => Skip = PluginLibrary.Missing;
}

/// <inheritdoc cref="PluginFactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PluginTheoryAttribute : TheoryAttribute
{
    public PluginTheoryAttribute() => Skip = PluginLibrary.Missing;
}
