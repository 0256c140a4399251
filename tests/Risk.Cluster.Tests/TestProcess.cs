using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Risk.Cluster.Tests;

/// <summary>A process of the cluster.</summary>
internal sealed partial class TestProcess : IDisposable
{
    private static readonly TimeSpan s_stopMax = TimeSpan.FromSeconds(90);
    private readonly Process _process;
    private readonly StringBuilder _said = new();
    private readonly ManualResetEventSlim _ready = new();

    public TestProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, e) =>
        {
            if (_ready.IsSet || e.Data is not { } line || Address().Match(line) is not { Success: true } address) { return; }
            Http = new HttpClient { BaseAddress = new Uri(address.Value), Timeout = TimeSpan.FromSeconds(90) };
            _ready.Set();
        };
        process.ErrorDataReceived += (_, e) =>
        {
            lock (_said) { _said.AppendLine(e.Data); }
        };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>The address that it said.</summary>
    public HttpClient Http { get; private set; } = new();

    public int Id => _process.Id;

    /// <summary>Processor time so far.</summary>
    public TimeSpan Processor
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public string Errors
    {
        get
        {
            lock (_said) { return _said.ToString(); }
        }
    }

    public void WaitUntilItServes(TimeSpan longest)
    {
        for (var waited = Stopwatch.StartNew(); !_ready.Wait(100);)
        {
            if (_process.HasExited || waited.Elapsed > longest) { throw new InvalidOperationException($"it did not start: {Errors}"); }
        }
    }

    /// <summary>kill -9.</summary>
    public void Kill()
    {
        if (!_process.HasExited) { _process.Kill(entireProcessTree: true); }
        _process.WaitForExit();
    }

    /// <summary>SIGSTOP: its connections stay open, and nothing comes.</summary>
    public void Freeze() => Signal("STOP");

    /// <summary>SIGTERM, and the exit code it ends with.</summary>
    public int Stop()
    {
        Signal("TERM");
        if (_process.WaitForExit(s_stopMax)) { return _process.ExitCode; }
        Kill();
        throw new TimeoutException($"it did not stop: {Errors}");
    }

    private void Signal(string name)
    {
        using Process kill = Process.Start("kill", [$"-{name}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    [GeneratedRegex("http://[0-9.]+:[0-9]+")]
    private static partial Regex Address();

    public void Dispose()
    {
        Kill();
        Http.Dispose();
        _ready.Dispose();
        _process.Dispose();
    }
}
