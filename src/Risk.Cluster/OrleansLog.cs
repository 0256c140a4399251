using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>
/// Orleans' warnings and errors as lines of the process' own log, under the code <c>ORLEANS</c>. Of each kind one in ten seconds: a
/// silo that is away makes a dozen a second.
/// </summary>
internal sealed class OrleansLog(TimeProvider clock) : ILoggerProvider
{
    // A note at every start that the garbage collector is not the server's: chosen so.
    private const int NotServerGc = 100405;
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<(string Category, string Event), Kind> _kinds = new();

    private sealed class Kind
    {
        public long? ToldAt;
        public int Untold;
    }

    public ILogger CreateLogger(string categoryName) => new Lines(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void Dispose()
    {
    }

    /// <summary>Whether it is told, and how many of its kind were not since the last that was.</summary>
    private bool IsTold((string Category, string Event) name, out int untold)
    {
        Kind kind = _kinds.GetOrAdd(name, static _ => new Kind());
        lock (kind)
        {
            untold = kind.Untold;
            if (kind.ToldAt is { } at && clock.GetElapsedTime(at) < s_quiet)
            {
                kind.Untold++;
                return false;
            }
            (kind.ToldAt, kind.Untold) = (clock.GetTimestamp(), 0);
            return true;
        }
    }

    private sealed class Lines(OrleansLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel) || eventId.Id == NotServerGc || !log.IsTold((category, eventId.ToString()), out int untold)) { return; }
            string level = logLevel switch { LogLevel.Warning => "warning", LogLevel.Error => "error", _ => "critical" };
            string why = exception is null ? "" : $" ({exception.GetType().Name}: {FirstLine(exception.Message)})", more = untold > 0 ? $" [{untold} more since the last]" : "";
            ServeLog.Write(level, "ORLEANS", $"{category}: {FirstLine(formatter(state, null))}{why}{more}");
        }

        private static string FirstLine(string text) => text.AsSpan().IndexOfAny('\r', '\n') is >= 0 and var end ? text[..end] : text;
    }
}
