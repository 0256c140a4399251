using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary><c>risk serve</c> as another process, on a free port.</summary>
internal sealed class ServeProcess : IDisposable
{
    private static readonly TimeSpan s_startMax = TimeSpan.FromMinutes(1);
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _errors = new(), _answers = new();
    private volatile string _metrics = "";

    private ServeProcess(Process process)
    {
        _process = process;
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not null) { _errors.Enqueue(line.Data); }
        };
        process.BeginErrorReadLine();
        Task<string?> first = process.StandardOutput.ReadLineAsync();
        if (!first.Wait(s_startMax) || first.Result is null)
        {
            Kill();
            throw new InvalidOperationException($"risk serve did not start:\n{Errors}");
        }
        Http = new HttpClient { BaseAddress = new Uri(JsonDocument.Parse(first.Result).RootElement.GetProperty("address").GetString()!), Timeout = TimeSpan.FromSeconds(20) };
    }

    public HttpClient Http { get; }
    public int Id => _process.Id;
    public bool HasExited => _process.HasExited;

    /// <summary>What it answered to <see cref="Get"/> and <see cref="Post"/>, and its last metrics.</summary>
    public IEnumerable<string> Answers => [.. _answers, _metrics];

    /// <summary>What it said on standard error so far.</summary>
    public string Errors => string.Join('\n', _errors);

    /// <summary>Starts with a configuration file; the port in it is replaced by a free one.</summary>
    public static ServeProcess Start(string configuration) => new(RiskProcess.Start(null, "serve", "--config", configuration, "--port", "0", "--json"));

    /// <summary>kill -9.</summary>
    public void Kill()
    {
        if (!_process.HasExited) { _process.Kill(); }
        _process.WaitForExit();
    }

    /// <summary>Its metrics are kept, then SIGTERM, and the exit code it ends with.</summary>
    public int Stop()
    {
        Metrics().GetAwaiter().GetResult();
        Signal("TERM");
        if (!_process.WaitForExit(TimeSpan.FromSeconds(60)))
        {
            Kill();
            throw new TimeoutException($"risk serve did not stop:\n{Errors}");
        }
        return _process.ExitCode;
    }

    /// <summary>SIGSTOP and SIGCONT: a process that is alive and does nothing.</summary>
    public void Freeze() => Signal("STOP");

    public void Thaw() => Signal("CONT");

    public async Task<(int Status, JsonElement Json)> Get(string path)
    {
        using HttpResponseMessage reply = await Http.GetAsync(new Uri(path, UriKind.Relative));
        string body = await reply.Content.ReadAsStringAsync();
        _answers.Enqueue(body);
        return ((int)reply.StatusCode, JsonDocument.Parse(body).RootElement);
    }

    public async Task<(int Status, string Body)> Post(string json, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/decisions") { Content = new StringContent(json) };
        foreach ((string name, string value) in headers) { request.Headers.Add(name, value); }
        using HttpResponseMessage reply = await Http.SendAsync(request);
        string body = await reply.Content.ReadAsStringAsync();
        _answers.Enqueue(body);
        return ((int)reply.StatusCode, body);
    }

    /// <summary>The sum of a metric's lines whose labels contain the text.</summary>
    public async Task<double> Metric(string name, string label = "")
    {
        return (await Metrics()).Split('\n').Where(l => (l.StartsWith(name + " ", StringComparison.Ordinal) || l.StartsWith(name + "{", StringComparison.Ordinal)) && l.Contains(label, StringComparison.Ordinal))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    public async Task<string> Metrics() => _metrics = await Http.GetStringAsync(new Uri("/metrics", UriKind.Relative));

    /// <summary>The partitions it says it has; none while it is not ready.</summary>
    public async Task<int[]> OwnedPartitions()
    {
        (int status, JsonElement health) = await Get("/health/ready");
        return status == 200 ? [.. health.GetProperty("partitions").EnumerateArray().Select(p => p.GetInt32())] : [];
    }

    public void Dispose()
    {
        if (!_process.HasExited) { Signal("CONT"); }
        Kill();
        Http?.Dispose();
        _process.Dispose();
    }

    private void Signal(string name)
    {
        using Process kill = Process.Start("kill", [$"-{name}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }
}
