using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.Service.Serving;

/// <summary>
/// HTTP's requests on the partitions of this process. A transaction of a partition that another process owns is handed on to
/// it, once.
/// </summary>
internal sealed class LocalDecisions(ServeHost host) : IDecisionApi
{
    private const string ForwardedHeader = "Risk-Forwarded";
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(10);

    private readonly ServeHost _host = host;
    private readonly HttpClient _others = new() { Timeout = s_answerMax };
    private readonly ConcurrentBag<Desk> _desks = [];

    // A parser and the one row it fills; parsers are not thread-safe.
    private sealed record Desk(JsonTransactionParser Parser, TransactionBatch Row);

    public Task<ServeHealth> Health() => Task.FromResult(_host.Health());

    public byte[]? AnswerOwner(int owner, ReadOnlySpan<byte> message) => _host.AnswerOwner(owner, message);

    public string Metrics() => ServeMetrics.Render(_host);

    public void Fault(string code) => _host.Counters.Fault(code);

    public void Dispose() => _others.Dispose();

    public async Task Decide(HttpContext http, ReadOnlyMemory<byte> body, TimeSpan? deadline)
    {
        long due = deadline is { } time ? _host.Clock.NowMicros + (long)time.TotalMicroseconds : long.MaxValue;
        Desk desk = _desks.TryTake(out Desk? free) ? free : new Desk(_host.CreateParser(), new TransactionBatch(_host.Definition.Schema, 1));
        try
        {
            desk.Row.Clear();
            if (desk.Parser.Parse(body.Span, RecordIdentity.NoOffset, _host.Clock.NowMicros, desk.Row, out Rejection rejection) != ErrorCode.None)
            {
                await HttpApi.Refuse(http, this, rejection.Code, rejection.Field);
                return;
            }
            int partition = _host.PartitionOf(body.Span);
            await Answer(http, body, partition, due, waiter => _host.Partition(partition)?.Call(desk.Row, waiter, due) ?? Intake.NotServing);
        }
        finally
        {
            _desks.Add(desk);
        }
    }

    private async Task Answer(HttpContext http, ReadOnlyMemory<byte> body, int partition, long deadline, Func<DecisionWaiter, Intake> offer)
    {
        var waiter = new DecisionWaiter();
        switch (offer(waiter))
        {
            case Intake.Taken:
                await Reply(http, waiter, deadline);
                return;
            case Intake.Full:
                _host.Counters.Fault("OVERLOAD");
                await HttpApi.Busy(http, StatusCodes.Status429TooManyRequests, "OVERLOAD", "every batch is on its way; try again");
                return;
            case Intake.NotServing when _host.Partition(partition) is null && http.Request.Headers[ForwardedHeader].Count == 0 && _host.Owners.OwnerOf(partition) is { } owner:
                await Forward(http, owner, body);
                return;
            default:
                await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", $"partition {partition} is not being served at this moment; try again");
                return;
        }
    }

    private async Task Reply(HttpContext http, DecisionWaiter waiter, long deadline)
    {
        TimeSpan wait = deadline == long.MaxValue ? s_answerMax : TimeSpan.FromMicroseconds(Math.Max(1, deadline - _host.Clock.NowMicros));
        try
        {
            (byte[] json, ErrorCode code) = await waiter.Answer.WaitAsync(wait, http.RequestAborted);
            if (code == ErrorCode.IdConflict)
            {
                await HttpApi.Refuse(http, this, code, null);
                return;
            }
            if (json.Length == 0)
            {
                await HttpApi.NotFound(http);
                return;
            }
            await HttpApi.Decision(http, json);
        }
        catch (TimeoutException)
        {
            await HttpApi.TooLate(http, this, isCallers: deadline != long.MaxValue);
        }
        catch (DecisionFailedException e)
        {
            await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, e.Code, "nothing was decided; the same request again is safe");
        }
    }

    public async Task Find(HttpContext http, byte[] id)
    {
        EntityKey key = _host.Keys.Event(id);
        bool someoneElse = false;
        foreach (int partition in Enumerable.Range(0, _host.PartitionCount))
        {
            var waiter = new DecisionWaiter();
            if (_host.Partition(partition) is not { } local)
            {
                someoneElse = true;
                continue;
            }
            if (local.Find(key, waiter) != Intake.Taken)
            {
                await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", $"partition {partition} is not being served at this moment; try again");
                return;
            }
            try
            {
                if ((await waiter.Answer.WaitAsync(s_answerMax, http.RequestAborted)).Json is { Length: > 0 } json)
                {
                    await HttpApi.Decision(http, json);
                    return;
                }
            }
            catch (Exception e) when (e is TimeoutException or DecisionFailedException)
            {
                await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", $"partition {partition} did not answer in time; try again");
                return;
            }
        }
        if (someoneElse && http.Request.Headers[ForwardedHeader].Count == 0)
        {
            if (_host.FindInStore(key) is { } stored)
            {
                await HttpApi.Decision(http, stored);
                return;
            }
            foreach (string owner in _host.Owners.Others())
            {
                using HttpResponseMessage? reply = await TrySend(http, owner, default);
                if (reply is { IsSuccessStatusCode: true })
                {
                    await Copy(http, reply);
                    return;
                }
            }
        }
        await HttpApi.NotFound(http);
    }

    // ---- other processes ----

    private async Task Forward(HttpContext http, string owner, ReadOnlyMemory<byte> body)
    {
        using HttpResponseMessage? reply = await TrySend(http, owner, body);
        if (reply is null) { await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", "the partition's owner does not answer; try again"); }
        else { await Copy(http, reply); }
    }

    private async Task<HttpResponseMessage?> TrySend(HttpContext http, string owner, ReadOnlyMemory<byte> body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(http.Request.Method), new Uri(new Uri(owner), http.Request.Path.ToUriComponent()));
        if (!body.IsEmpty) { request.Content = new ReadOnlyMemoryContent(body); }
        request.Headers.Add(ForwardedHeader, "1");
        if (http.Request.Headers.TryGetValue("Deadline-Ms", out var deadline)) { request.Headers.Add("Deadline-Ms", (string?)deadline); }
        try
        {
            return await _others.SendAsync(request, http.RequestAborted);
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !http.RequestAborted.IsCancellationRequested)
        {
            return null;
        }
    }

    private static async Task Copy(HttpContext http, HttpResponseMessage reply)
    {
        http.Response.StatusCode = (int)reply.StatusCode;
        http.Response.ContentType = reply.Content.Headers.ContentType?.ToString();
        if (reply.Headers.RetryAfter is { } retry) { http.Response.Headers.RetryAfter = retry.ToString(); }
        await reply.Content.CopyToAsync(http.Response.Body, http.RequestAborted);
    }
}

/// <summary>A request that waits for a row.</summary>
internal sealed class DecisionWaiter : IRowAnswer
{
    private readonly TaskCompletionSource<(byte[] Json, ErrorCode Code)> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The record as JSON, empty when there is none.</summary>
    public Task<(byte[] Json, ErrorCode Code)> Answer => _answer.Task;

    public void Decided(ReadOnlySpan<byte> record, ErrorCode code) => _answer.TrySetResult((DecisionRecordJson.ToUtf8(record), code));

    public void Failed(Exception failure) => _answer.TrySetException(new DecisionFailedException(ServeFaults.Explain(failure).Code, failure));
}

/// <summary>The shard failed before the row was durable.</summary>
internal sealed class DecisionFailedException(string code, Exception inner) : Exception(code, inner)
{
    public string Code { get; } = code;
}
