using System.Diagnostics;
using System.Globalization;

namespace Risk.Cli.Benchmarks;

/// <summary>This program once more, as another process of a benchmark: one line when it is ready, its CPU time, and gone at the end.</summary>
internal sealed class PartProcess : IDisposable
{
    // USER_HZ, 100 on every Linux that .NET runs on.
    private const double TicksPerSecond = 100;
    private static readonly TimeSpan s_startMax = TimeSpan.FromMinutes(2);

    private readonly Process _process;

    private PartProcess(Process process, string firstLine)
    {
        _process = process;
        FirstLine = firstLine;
    }

    /// <summary>What it said when it was ready.</summary>
    public string FirstLine { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>Processor time of all its threads so far.</summary>
    public double CpuSeconds()
    {
        string stat = File.ReadAllText($"/proc/{_process.Id}/stat");
        // Fields 14 and 15, counted behind the name, which may hold anything.
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
    }

    /// <summary>Starts <c>risk</c> with these arguments and waits for its first line.</summary>
    /// <exception cref="InvalidOperationException">It ended before that.</exception>
    public static PartProcess Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "risk.dll"), .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["RISK_HOME"] = RiskHome.Find();
        Process process = Process.Start(start)!;
        var errors = new System.Text.StringBuilder();
        process.ErrorDataReceived += (_, line) => { lock (errors) { errors.AppendLine(line.Data); } };
        process.BeginErrorReadLine();
        Task<string?> first = process.StandardOutput.ReadLineAsync();
        if (first.Wait(s_startMax) && first.Result is { } text) { return new PartProcess(process, text); }
        new PartProcess(process, "").Dispose();
        lock (errors) { throw new InvalidOperationException($"risk {arguments[0]} did not start: {errors}"); }
    }

    public void Dispose()
    {
        if (!_process.HasExited) { _process.Kill(); }
        _process.WaitForExit();
        _process.Dispose();
    }
}
