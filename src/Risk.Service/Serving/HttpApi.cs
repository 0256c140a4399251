using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;

namespace Risk.Service.Serving;

/// <summary>What answers behind <see cref="HttpApi"/>: this process' partitions, or a cluster.</summary>
internal interface IDecisionApi : IDisposable
{
    /// <summary>Answers a transaction.</summary>
    /// <param name="body">At most <see cref="Limits.RecordSizeMax"/> bytes, valid until the task ends.</param>
    /// <param name="deadline">Within which the caller wants it; null where it did not say.</param>
    Task Decide(HttpContext http, ReadOnlyMemory<byte> body, TimeSpan? deadline);

    /// <summary>Answers with the decision on an event.</summary>
    /// <param name="id">The event's, UTF-8.</param>
    Task Find(HttpContext http, byte[] id);

    /// <summary>Answers another process that asks the owner of shared entities; null where it does not live here, or is asked in another way.</summary>
    byte[]? AnswerOwner(int owner, ReadOnlySpan<byte> message) => null;

    Task<ServeHealth> Health();

    /// <summary>In Prometheus' text format.</summary>
    string Metrics();

    /// <summary>Counts a fault by its code.</summary>
    void Fault(string code);
}

/// <summary>
/// HTTP of <c>risk serve</c> and of the cluster: scoring and look-up, health, metrics. Errors are RFC 9457 problem details with
/// the stable code.
/// </summary>
internal sealed class HttpApi : IAsyncDisposable
{
    private readonly IDecisionApi _api;
    private readonly WebApplication _app;

    private HttpApi(IDecisionApi api, WebApplication app)
    {
        _api = api;
        _app = app;
    }

    /// <summary>The address that is really listened on (port 0 takes a free one).</summary>
    public string Address => _app.Urls.First();

    /// <param name="api">Owned from here on.</param>
    /// <exception cref="IOException">The port is taken, or may not be used.</exception>
    public static async Task<HttpApi> Start(IDecisionApi api, string listen)
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
        var server = new HttpApi(api, app);
        app.Use(server.Guard);
        app.MapGet("/health/live", (HttpContext http) => http.Response.WriteAsync("{\"status\":\"live\"}"));
        app.MapGet("/health/ready", server.Ready);
        app.MapGet("/metrics", server.Metrics);
        app.MapPost("/v1/decisions", server.Decide);
        app.MapGet("/v1/decisions/{id}", server.Find);
        app.MapPost("/internal/entities/{owner:int}", server.AskOwner);
        try
        {
            await app.StartAsync();
        }
        catch (IOException e)
        {
            await app.DisposeAsync();
            throw new IOException($"LISTEN_FAILED: {listen}: {e.Message}", e);
        }
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        _api.Dispose();
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

    private async Task Decide(HttpContext http)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Limits.RecordSizeMax + 1);
        try
        {
            int length = await ReadBody(http, buffer);
            if (length > Limits.RecordSizeMax) { await Refuse(http, _api, ErrorCode.TooLarge, null); }
            else if (!TryDeadline(http, out TimeSpan? deadline)) { await Problem(http, StatusCodes.Status400BadRequest, "DEADLINE_INVALID", "Deadline-Ms must be a whole number of milliseconds, 1 to 60000"); }
            else { await _api.Decide(http, buffer.AsMemory(0, length), deadline); }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private Task Find(HttpContext http)
    {
        byte[] id = Encoding.UTF8.GetBytes((string)http.Request.RouteValues["id"]!);
        return id.Length > Limits.IdSizeMax ? Refuse(http, _api, ErrorCode.IdInvalid, null) : _api.Find(http, id);
    }

    /// <summary>Another process asks the owner of shared entities that lives here; see <see cref="Entities.EntityMessage"/>.</summary>
    private async Task AskOwner(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        byte[]? reply = _api.AnswerOwner(int.Parse((string)http.Request.RouteValues["owner"]!, CultureInfo.InvariantCulture), body.GetBuffer().AsSpan(0, (int)body.Length));
        http.Response.StatusCode = reply is null ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        if (reply is not null) { await http.Response.Body.WriteAsync(reply, http.RequestAborted); }
    }

    private async Task Ready(HttpContext http)
    {
        ServeHealth health = await _api.Health();
        http.Response.StatusCode = health.IsReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        health.Write(json);
    }

    private Task Metrics(HttpContext http)
    {
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return http.Response.WriteAsync(_api.Metrics(), http.RequestAborted);
    }

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

    private static bool TryDeadline(HttpContext http, out TimeSpan? deadline)
    {
        deadline = null;
        string? text = http.Request.Headers["Deadline-Ms"];
        if (text is null) { return true; }
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int millis) || millis is < 1 or > 60_000) { return false; }
        deadline = TimeSpan.FromMilliseconds(millis);
        return true;
    }

    // ---- replies ----

    /// <summary>A record that is there.</summary>
    public static async Task Decision(HttpContext http, ReadOnlyMemory<byte> json)
    {
        http.Response.ContentType = "application/json";
        await http.Response.Body.WriteAsync(json, http.RequestAborted);
    }

    public static Task NotFound(HttpContext http) => Problem(http, StatusCodes.Status404NotFound, "DECISION_NOT_FOUND", "there is no decision on that id");

    /// <summary>Bad input, by its code.</summary>
    public static Task Refuse(HttpContext http, IDecisionApi api, ErrorCode code, string? field)
    {
        // A conflict was found by the shard, which has counted it.
        if (code != ErrorCode.IdConflict) { api.Fault(code.Text()); }
        int status = code switch
        {
            ErrorCode.TooLarge => StatusCodes.Status413PayloadTooLarge,
            ErrorCode.IdConflict => StatusCodes.Status409Conflict,
            _ => StatusCodes.Status400BadRequest,
        };
        return Problem(http, status, code.Text(), field is null ? "the transaction was not accepted" : $"the transaction was not accepted: field {field}", field);
    }

    /// <summary>The time was up: the caller's, or ours.</summary>
    public static Task TooLate(HttpContext http, IDecisionApi api, bool isCallers)
    {
        api.Fault("DEADLINE_EXCEEDED");
        return Busy(http, isCallers ? StatusCodes.Status504GatewayTimeout : StatusCodes.Status503ServiceUnavailable, "DEADLINE_EXCEEDED", "the decision is not durable yet; the same request again returns it when it is");
    }

    /// <summary>What a later try may get.</summary>
    public static Task Busy(HttpContext http, int status, string code, string sentence)
    {
        http.Response.Headers.RetryAfter = "1";
        return Problem(http, status, code, sentence);
    }

    public static async Task Problem(HttpContext http, int status, string code, string sentence, string? field = null)
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
