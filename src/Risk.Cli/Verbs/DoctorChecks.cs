using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Microsoft.ML.OnnxRuntime;
using Risk.Cli.CommandLine;
using Risk.Core.Decisions;
using Risk.Storage.Log;

namespace Risk.Cli.Verbs;

internal enum DoctorState
{
    Good,

    /// <summary>Not there, and only some of the work needs it.</summary>
    Absent,

    /// <summary>The main job cannot run.</summary>
    Failed,
}

/// <summary>What one check found.</summary>
/// <param name="ToDo">What a person does about it; null when nothing is to be done.</param>
internal sealed record DoctorFinding(string Name, DoctorState State, string Finding, string? ToDo = null);

/// <summary>The checks of <c>risk doctor</c>, in the order they are shown. None of them changes anything that stays.</summary>
internal static class DoctorChecks
{
    private const int SyncRounds = 32;

    public static IReadOnlyList<Func<DoctorFinding>> All { get; } =
    [
        DotNet, Processor, OnnxRuntime, Models, Streams, Disk,
        () => Tool("redis-server", "redis-server", "the peer of the benchmarks feature-update and decision-e2e"),
        Postgres, PythonXgboost, Xgboost,
    ];

    private static DoctorFinding DotNet() => Environment.Version.Major >= 10
        ? new(".NET", DoctorState.Good, RuntimeInformation.FrameworkDescription)
        : new(".NET", DoctorState.Failed, RuntimeInformation.FrameworkDescription, "install the package dotnet-sdk-10.0, or see https://dotnet.microsoft.com/download");

    private static DoctorFinding Processor()
    {
        // CPUID leaf 7, EBX bit 29: SHA extensions (Intel SDM, volume 2A, CPUID).
        bool hashes = X86Base.IsSupported && (X86Base.CpuId(7, 0).Ebx & (1 << 29)) != 0;
        string forest = Avx512Vbmi.IsSupported ? "AVX-512 VBMI" : Avx512BW.IsSupported ? "AVX-512, no VBMI" : Avx2.IsSupported ? "AVX2" : "no AVX2";
        string finding = $"{Environment.ProcessorCount} × {RuntimeInformation.ProcessArchitecture}, {forest}, {(hashes ? "SHA extensions" : "no SHA extensions")}";
        return new DoctorFinding("processor", DoctorState.Good, finding, Avx2.IsSupported ? null : "nothing: the forest kernel runs its plain code, and is slower");
    }

    private static DoctorFinding OnnxRuntime()
    {
        try
        {
            return new DoctorFinding("ONNX Runtime", DoctorState.Good, $"{OrtEnv.Instance().GetVersionString()}, {string.Join(", ", OrtEnv.Instance().GetAvailableProviders())}");
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or OnnxRuntimeException or EntryPointNotFoundException)
        {
            return new DoctorFinding("ONNX Runtime", DoctorState.Failed, $"does not load: {(e.InnerException ?? e).Message}", "delete src/Risk.Cli/bin and obj and run again, so that the package is restored");
        }
    }

    private static DoctorFinding Models()
    {
        const string mend = "restore the checkout (git status says what changed)";
        try
        {
            List<VerifiedModel> models = [.. ModelFiles.Folders().Select(folder => VerifiedModel.Run(folder, batchSizeMax: 64))];
            VerifiedModel? bad = models.Find(m => m.Refusal is not null);
            return bad is not null
                ? new DoctorFinding("models", DoctorState.Failed, $"{bad.Reference}: {bad.Refusal}", mend)
                : models.Count == 0 ? new DoctorFinding("models", DoctorState.Failed, "models/ holds none", mend)
                : new DoctorFinding("models", DoctorState.Good, string.Join(", ", models.Select(m => m.Reference)));
        }
        catch (CommandFailure failure)
        {
            return new DoctorFinding("models", DoctorState.Failed, failure.Message, mend);
        }
    }

    private static DoctorFinding Streams()
    {
        try
        {
            var names = new List<string>();
            foreach (string folder in StreamFiles.Folders())
            {
                StreamFiles? stream = StreamFiles.TryLoad(folder, out List<DefinitionError> errors);
                string? fault = stream is null ? errors[0].ToString()
                    : stream.RecordedTransactions is { } recorded && !File.Exists(recorded) ? $"{recorded} is missing"
                    : null;
                if (fault is not null)
                {
                    return new DoctorFinding("streams", DoctorState.Failed, fault, "mend the definition; the message names file and place");
                }

                names.Add(stream!.Definition.Schema.Name);
            }

            return new DoctorFinding("streams", DoctorState.Good, string.Join(", ", names));
        }
        catch (CommandFailure failure)
        {
            return new DoctorFinding("streams", DoctorState.Failed, failure.Message, $"run it through ./risk, or set {RiskHome.Variable}");
        }
    }

    /// <summary>The time of a commit: a write and a sync within a preallocated file, as the log does it.</summary>
    private static DoctorFinding Disk()
    {
        string folder = Directory.GetCurrentDirectory();
        string path = Path.Combine(folder, $".risk-doctor-{Environment.ProcessId}");
        try
        {
            using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Options = FileOptions.DeleteOnClose });
            RandomAccess.Write(file.SafeFileHandle, new byte[1 << 20], 0); // written, not only reserved: syncs within it are then short
            RandomAccess.FlushToDisk(file.SafeFileHandle);
            byte[] block = new byte[4096];
            double[] millis = new double[SyncRounds];
            for (int i = 0; i < SyncRounds; i++)
            {
                RandomAccess.Write(file.SafeFileHandle, block, i * block.Length);
                long started = Stopwatch.GetTimestamp();
                Posix.SyncBytes(file.SafeFileHandle);
                millis[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }

            Array.Sort(millis);
            string finding = string.Create(CultureInfo.InvariantCulture, $"a commit takes {millis[SyncRounds / 2]:0.00} ms (median), {millis[^1]:0.0} ms at worst");
            return new DoctorFinding("disk", DoctorState.Good, finding, millis[SyncRounds / 2] > 20 ? "nothing must be done; a disk that syncs faster decides faster" : null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new DoctorFinding("disk", DoctorState.Failed, e.Message, $"make {folder} writable, or run in another folder");
        }
    }

    private static DoctorFinding Postgres()
    {
        const string servers = "/usr/lib/postgresql";
        string? server = Directory.Exists(servers)
            ? Directory.GetDirectories(servers).Select(v => Path.Combine(v, "bin", "postgres")).Where(File.Exists).Order(StringComparer.Ordinal).LastOrDefault()
            : null;
        return server is null ? Tool("postgres", "postgresql", "the peer of the benchmarks decision-log and decision-e2e") : new DoctorFinding("postgres", DoctorState.Good, server);
    }

    private static DoctorFinding PythonXgboost()
    {
        const string purpose = "training models; the peer of the benchmark explain";
        var start = new ProcessStartInfo("/usr/bin/python3", ["-c", "import xgboost; print(xgboost.__version__)"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process python = Process.Start(start)!;
            string version = python.StandardOutput.ReadToEnd().Trim();
            python.WaitForExit();
            return python.ExitCode == 0
                ? new DoctorFinding("python3-xgboost", DoctorState.Good, version)
                : Absent("python3-xgboost", "python3-xgboost", purpose);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return Absent("python3-xgboost", "python3-xgboost", purpose);
        }
    }

    private static DoctorFinding Xgboost()
    {
        foreach (string name in (string[])["libxgboost.so.0", "libxgboost.so"])
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                NativeLibrary.Free(library);
                return new DoctorFinding("libxgboost", DoctorState.Good, name);
            }
        }

        return Absent("libxgboost", "libxgboost0", "the peer of the benchmark tree-score");
    }

    private static DoctorFinding Tool(string program, string package, string purpose)
    {
        string? path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin")
            .Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
        return path is null ? Absent(program, package, purpose) : new DoctorFinding(program, DoctorState.Good, path);
    }

    private static DoctorFinding Absent(string name, string package, string purpose) =>
        new(name, DoctorState.Absent, $"only for {purpose}", $"apt-get install {package}");
}
