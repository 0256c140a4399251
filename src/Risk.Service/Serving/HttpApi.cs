using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.Service.Serving;

/// <summary>
/// HTTP of <c>risk serve</c>: scoring and look-up, health, metrics. A transaction of a partition that another process owns is
/// handed on to it, once. Errors are RFC 9457 problem details with the stable code.
/// </summary>
internal sealed class HttpApi : IAsyncDisposable
{
    private const string ForwardedHeader = "Risk-Forwarded";
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(10);

    private readonly ServeHost _host;
    private readonly WebApplication _app;
    private readonly HttpClient _others = new() { Timeout = s_answerMax };
    private readonly ConcurrentBag<Desk> _desks = [];

    // A parser and the one row it fills; parsers are not thread-safe.
    private sealed record Desk(JsonTransactionParser Parser, TransactionBatch Row);

    private HttpApi(ServeHost host, WebApplication app)
    {
        _host = host;
        _app = app;
    }

    /// <summary>The address that is really listened on (port 0 takes a free one).</summary>
    public string Address => _app.Urls.First();

    /// <exception cref="IOException">The port is taken, or may not be used.</exception>
    public static async Task<HttpApi> Start(ServeHost host, string listen)
    {
        // Not the working directory: the builder watches its whole tree for settings, and the log's files may be written there.
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(listen).ConfigureKestrel(o =>
        {
            o.AddServerHeader = false;
            o.Limits.MaxRequestBodySize = 64 << 20; // a batch of rows from another process; a transaction's bound is smaller, and says so with its code
        });
        WebApplication app = builder.Build();
        var api = new HttpApi(host, app);
        app.Use(api.Guard);
        app.MapGet("/health/live", (HttpContext http) => http.Response.WriteAsync("{\"status\":\"live\"}"));
        app.MapGet("/health/ready", api.Ready);
        app.MapGet("/metrics", api.Metrics);
        app.MapPost("/v1/decisions", api.Decide);
        app.MapGet("/v1/decisions/{id}", api.Find);
        app.MapPost("/internal/entities/{owner:int}", api.AskOwner);
        try
        {
            await app.StartAsync();
        }
        catch (IOException e)
        {
            await app.DisposeAsync();
            throw new IOException($"LISTEN_FAILED: {listen}: {e.Message}", e);
        }
        return api;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        _others.Dispose();
    }


    private async Task Guard(HttpContext http, RequestDelegate next)
    {
        try
        {
            await next(http);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be answered.
        }
        catch (BadHttpRequestException e) when (!http.Response.HasStarted)
        {
            await Problem(http, e.StatusCode, "PARSE_ERROR", "the request is not HTTP as it should be");
        }
        catch (DecisionLogException e) when (e.IsRetriable && !http.Response.HasStarted)
        {
            await Busy(http, StatusCodes.Status503ServiceUnavailable, e.Code, "the store does not answer; the same request again is safe");
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            (string code, string sentence) = ServeFaults.Explain(e);
            ServeLog.Write("error", code, $"{http.Request.Method} {http.Request.Path}: {sentence}");
            await Problem(http, StatusCodes.Status500InternalServerError, code, "the request could not be answered; the log of this process says why");
        }
    }

    // ---- scoring ----

    private async Task Decide(HttpContext http)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Limits.RecordSizeMax + 1);
        Desk desk = _desks.TryTake(out Desk? free) ? free : new Desk(_host.CreateParser(), new TransactionBatch(_host.Definition.Schema, 1));
        try
        {
            int length = await ReadBody(http, buffer);
            if (length > Limits.RecordSizeMax)
            {
                await Refuse(http, StatusCodes.Status413PayloadTooLarge, ErrorCode.TooLarge, null);
                return;
            }
            if (!TryDeadline(http, out long deadline))
            {
                await Problem(http, StatusCodes.Status400BadRequest, "DEADLINE_INVALID", "Deadline-Ms must be a whole number of milliseconds, 1 to 60000");
                return;
            }
            desk.Row.Clear();
            if (desk.Parser.Parse(buffer.AsSpan(0, length), RecordIdentity.NoOffset, _host.Clock.NowMicros, desk.Row, out Rejection rejection) != ErrorCode.None)
            {
                await Refuse(http, rejection.Code == ErrorCode.TooLarge ? StatusCodes.Status413PayloadTooLarge : StatusCodes.Status400BadRequest, rejection.Code, rejection.Field);
                return;
            }
            int partition = _host.PartitionOf(buffer.AsSpan(0, length));
            await Answer(http, buffer.AsMemory(0, length), partition, deadline, waiter => _host.Partition(partition)?.Call(desk.Row, waiter, deadline) ?? Intake.NotServing);
        }
        finally
        {
            _desks.Add(desk);
            ArrayPool<byte>.Shared.Return(buffer);
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
                await Busy(http, StatusCodes.Status429TooManyRequests, "OVERLOAD", "every batch is on its way; try again");
                return;
            case Intake.NotServing when _host.Partition(partition) is null && http.Request.Headers[ForwardedHeader].Count == 0 && _host.OwnerOf(partition) is { } owner:
                await Forward(http, owner, body);
                return;
            default:
                await Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", $"partition {partition} is not being served at this moment; try again");
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
                await Refuse(http, StatusCodes.Status409Conflict, code, null);
                return;
            }
            if (json.Length == 0)
            {
                await Problem(http, StatusCodes.Status404NotFound, "DECISION_NOT_FOUND", "there is no decision on that id");
                return;
            }
            http.Response.ContentType = "application/json";
            await http.Response.Body.WriteAsync(json, http.RequestAborted);
        }
        catch (TimeoutException)
        {
            _host.Counters.Fault("DEADLINE_EXCEEDED");
            await Busy(http, deadline == long.MaxValue ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status504GatewayTimeout, "DEADLINE_EXCEEDED", "the decision is not durable yet; the same request again returns it when it is");
        }
        catch (DecisionFailedException e)
        {
            await Busy(http, StatusCodes.Status503ServiceUnavailable, e.Code, "nothing was decided; the same request again is safe");
        }
    }

    private async Task Find(HttpContext http)
    {
        string id = (string)http.Request.RouteValues["id"]!;
        if (System.Text.Encoding.UTF8.GetByteCount(id) > Limits.IdSizeMax)
        {
            await Refuse(http, StatusCodes.Status400BadRequest, ErrorCode.IdInvalid, null);
            return;
        }
        EntityKey key = _host.Keys.Event(System.Text.Encoding.UTF8.GetBytes(id));
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
                await Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", $"partition {partition} is not being served at this moment; try again");
                return;
            }
            try
            {
                if ((await waiter.Answer.WaitAsync(s_answerMax, http.RequestAborted)).Json is { Length: > 0 } json)
                {
                    http.Response.ContentType = "application/json";
                    await http.Response.Body.WriteAsync(json, http.RequestAborted);
                    return;
                }
            }
            catch (Exception e) when (e is TimeoutException or DecisionFailedException)
            {
                await Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", $"partition {partition} did not answer in time; try again");
                return;
            }
        }
        if (someoneElse && http.Request.Headers[ForwardedHeader].Count == 0)
        {
            if (_host.FindInStore(key) is { } stored)
            {
                http.Response.ContentType = "application/json";
                await http.Response.Body.WriteAsync(stored, http.RequestAborted);
                return;
            }
            foreach (string owner in _host.Others())
            {
                using HttpResponseMessage? reply = await TrySend(http, owner, default);
                if (reply is { IsSuccessStatusCode: true })
                {
                    await Copy(http, reply);
                    return;
                }
            }
        }
        await Problem(http, StatusCodes.Status404NotFound, "DECISION_NOT_FOUND", "there is no decision on that id");
    }

    // ---- other processes ----

    private async Task Forward(HttpContext http, string owner, ReadOnlyMemory<byte> body)
    {
        using HttpResponseMessage? reply = await TrySend(http, owner, body);
        if (reply is null) { await Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", "the partition's owner does not answer; try again"); }
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

    /// <summary>Another process asks the owner of shared entities that lives here; see <see cref="Entities.EntityMessage"/>.</summary>
    private async Task AskOwner(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        byte[]? reply = _host.AnswerOwner(int.Parse((string)http.Request.RouteValues["owner"]!, CultureInfo.InvariantCulture), body.GetBuffer().AsSpan(0, (int)body.Length));
        http.Response.StatusCode = reply is null ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        if (reply is not null) { await http.Response.Body.WriteAsync(reply, http.RequestAborted); }
    }

    // ---- health and metrics ----

    private async Task Ready(HttpContext http)
    {
        ServeHealth health = _host.Health();
        http.Response.StatusCode = health.IsReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        health.Write(json);
    }

    private Task Metrics(HttpContext http)
    {
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return http.Response.WriteAsync(ServeMetrics.Render(_host), http.RequestAborted);
    }

    // ---- requests and replies ----

    private static async Task<int> ReadBody(HttpContext http, byte[] buffer)
    {
        if (http.Request.ContentLength > Limits.RecordSizeMax) { return Limits.RecordSizeMax + 1; }
        int length = 0;
        while (length <= Limits.RecordSizeMax)
        {
            int read = await http.Request.Body.ReadAsync(buffer.AsMemory(length, Limits.RecordSizeMax + 1 - length), http.RequestAborted);
            if (read == 0) { break; }
            length += read;
        }
        return length;
    }

    private bool TryDeadline(HttpContext http, out long deadline)
    {
        deadline = long.MaxValue;
        string? text = http.Request.Headers["Deadline-Ms"];
        if (text is null) { return true; }
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int millis) || millis is < 1 or > 60_000) { return false; }
        deadline = _host.Clock.NowMicros + millis * 1000L;
        return true;
    }

    private Task Refuse(HttpContext http, int status, ErrorCode code, string? field)
    {
        // A conflict was found by the shard, which has counted it.
        if (code != ErrorCode.IdConflict) { _host.Counters.Fault(code.Text()); }
        return Problem(http, status, code.Text(), field is null ? "the transaction was not accepted" : $"the transaction was not accepted: field {field}", field);
    }

    private static Task Busy(HttpContext http, int status, string code, string sentence)
    {
        http.Response.Headers.RetryAfter = "1";
        return Problem(http, status, code, sentence);
    }

    private static async Task Problem(HttpContext http, int status, string code, string sentence, string? field = null)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/problem+json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteString("type", $"urn:risk:error:{code}");
        json.WriteString("title", sentence);
        json.WriteNumber("status", status);
        json.WriteString("code", code);
        if (field is not null) { json.WriteString("field", field); }
        json.WriteEndObject();
    }
}

/// <summary>A request that waits for a row.</summary>
internal sealed class DecisionWaiter : IRowAnswer
{
    private readonly TaskCompletionSource<(byte[] Json, ErrorCode Code)> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The record as JSON, empty when there is none.</summary>
    public Task<(byte[] Json, ErrorCode Code)> Answer => _answer.Task;

    public void Decided(ReadOnlySpan<byte> record, ErrorCode code) => _answer.TrySetResult((ServeHost.RecordJson(record), code));

    public void Failed(Exception failure) => _answer.TrySetException(new DecisionFailedException(ServeFaults.Explain(failure).Code, failure));
}

/// <summary>The shard failed before the row was durable.</summary>
internal sealed class DecisionFailedException(string code, Exception inner) : Exception(code, inner)
{
    public string Code { get; } = code;
}
