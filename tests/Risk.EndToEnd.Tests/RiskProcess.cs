using System.Diagnostics;
using System.Text.Json;
using Risk.Cli.CommandLine;

namespace Risk.EndToEnd.Tests;

/// <summary>Runs <c>risk</c> as its users do: another process, arguments, exit code, the two outputs.</summary>
internal static class RiskProcess
{
    private static readonly string s_program = Path.Combine(AppContext.BaseDirectory, "risk.dll");

    public static string Home { get; } = FindHome();

    public static Process Start(string? standardInput, params string[] arguments) => StartIn(Home, standardInput, arguments);

    private static Process StartIn(string home, string? standardInput, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = Path.GetTempPath() };
        start.ArgumentList.Add(s_program);
        foreach (string argument in arguments) { start.ArgumentList.Add(argument); }
        start.Environment["RISK_HOME"] = home;
        Process process = Process.Start(start)!;
        if (standardInput is not null) { process.StandardInput.Write(standardInput); }
        process.StandardInput.Close();
        return process;
    }

    /// <summary>Runs to the end; throws after two minutes.</summary>
    public static RiskResult Run(params string[] arguments) => RunWithInput(null, arguments);

    public static RiskResult RunWithInput(string? standardInput, params string[] arguments) => Finish(Start(standardInput, arguments), arguments);

    /// <summary>The same with another <c>RISK_HOME</c>.</summary>
    public static RiskResult RunIn(string home, params string[] arguments) => Finish(StartIn(home, null, arguments), arguments);

    /// <summary>The same verb without a process of its own, for checks that a test makes many times.</summary>
    public static RiskResult RunInside(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int exit = RiskCommandLine.Invoke(arguments, output, error, CancellationToken.None).GetAwaiter().GetResult();
        return new RiskResult(exit, output.ToString(), error.ToString());
    }

    private static RiskResult Finish(Process started, string[] arguments)
    {
        using Process process = started;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            process.Kill();
            throw new TimeoutException($"risk {string.Join(' ', arguments)} did not end");
        }
        return new RiskResult(process.ExitCode, output.Result, error.Result);
    }

    private static string FindHome()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Risk.sln"))) { folder = folder.Parent; }
        return folder?.FullName ?? throw new DirectoryNotFoundException("the tests must run inside a checkout");
    }
}

internal sealed record RiskResult(int ExitCode, string Output, string Error)
{
    /// <summary>Standard output as the one JSON object it must be.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    public RiskResult Succeeded()
    {
        Assert.True(ExitCode == 0, $"exit {ExitCode}\n{Error}\n{Output}");
        return this;
    }
}

/// <summary>A folder for one test, gone with it.</summary>
internal sealed class TestFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("risk-test-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    public string Write(string name, string content)
    {
        File.WriteAllText(this[name], content);
        return this[name];
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
