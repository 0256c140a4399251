using System.Collections.Concurrent;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference.Devices;

namespace Risk.Service.Serving;

/// <summary>Counters by name and labels, as Prometheus knows them. Thread-safe.</summary>
internal sealed class ServeCounters
{
    private sealed class Cell
    {
        public long Value;
    }

    private readonly ConcurrentDictionary<(string Name, string Labels), Cell> _cells = new();

    /// <param name="labels">As exposed, without braces: <c>code="LATE"</c>; empty for none.</param>
    public void Add(string name, string labels, long count)
    {
        if (count != 0) { Interlocked.Add(ref _cells.GetOrAdd((name, labels), static _ => new Cell()).Value, count); }
    }

    /// <summary>Shows a counter from the beginning, at 0, so that a rate sees its first step.</summary>
    public void Declare(string name, string labels = "") => _cells.GetOrAdd((name, labels), static _ => new Cell());

    /// <summary>One counter a fault, by its stable code.</summary>
    public void Fault(string code, long count = 1) => Add("risk_faults_total", $"code=\"{code}\"", count);

    public long Read(string name, string labels = "") => _cells.TryGetValue((name, labels), out Cell? cell) ? Interlocked.Read(ref cell.Value) : 0;

    /// <summary>All of them, ordered by name and labels.</summary>
    public IEnumerable<(string Name, string Labels, long Value)> All() =>
        _cells.Select(c => (c.Key.Name, c.Key.Labels, Interlocked.Read(ref c.Value.Value))).OrderBy(c => c.Name, StringComparer.Ordinal).ThenBy(c => c.Labels, StringComparer.Ordinal);
}

/// <summary>One line of JSON an event, on standard error: what collectors of container logs read. Never a value of a transaction.</summary>
internal static class ServeLog
{
    public static void Write(string level, string code, string sentence)
    {
        string line = System.Text.Json.JsonSerializer.Serialize(new { time = TimeProvider.System.GetUtcNow().ToString("O"), level, code, message = sentence });
        Console.Error.WriteLine(line);
    }
}

/// <summary>The stable code and the sentence of whatever went wrong.</summary>
internal static class ServeFaults
{
    /// <summary>Every code that a serving process may count.</summary>
    public static IReadOnlyList<string> Codes { get; } =
    [
        .. Enum.GetValues<ErrorCode>().Where(c => c != ErrorCode.None).Select(c => c.Text()),
        LogCodes.InUse, LogCodes.ReadOnly, LogCodes.Corrupt, LogCodes.Other, LogCodes.Unavailable, LogCodes.CommitReread, LogCodes.CommitResent, LogCodes.Conflict, "PARTITION_LOST", "NOT_OWNED", "ENTITY_OWNER_UNAVAILABLE", "ENTITY_ROW_LATE", ModelCodes.DeviceLost, ModelCodes.DeviceHung, DeviceCodes.Fallback, DeviceCodes.Missing, DeviceCodes.Failed, DeviceCodes.Library, DeviceCodes.UnknownProvider, DeviceCodes.RuntimeConflict, ServingProfile.Stale, ServingProfile.Missing, ServingProfile.Invalid, "OVERLOAD", "DEADLINE_EXCEEDED", "COSTS_UNWRITABLE", Engine.Challengers.Challenger.Stopped, "IO_FAILED", "BUG",
        "PRICE_MISSING", "PRICE_STALE", "PRICE_INVALID", "PRICE_OLD",
    ];

    public static (string Code, string Sentence) Explain(Exception failure)
    {
        string message = failure.Message;
        int end = message.IndexOf(": ", StringComparison.Ordinal);
        bool hasCode = end > 0 && message.AsSpan(0, end).IndexOfAnyExceptInRange('A', 'Z') is var other && (other < 0 || message.AsSpan(0, end).ToString().All(c => c is '_' or (>= 'A' and <= 'Z') or (>= '0' and <= '9')));
        return hasCode ? (message[..end], message[(end + 2)..])
            : failure is IOException or UnauthorizedAccessException ? ("IO_FAILED", message) : ("BUG", $"this should not have happened; please report it: {failure.GetType().Name}: {message}");
    }
}
