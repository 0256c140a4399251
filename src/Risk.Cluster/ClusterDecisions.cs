using Microsoft.AspNetCore.Http;
using Risk.Core.Transactions;
using Risk.Service.Serving;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Cluster;

/// <summary>HTTP's requests on a cluster, at the front and at every silo: asked wherever the partition is served.</summary>
/// <param name="health">Whether this process can do so.</param>
/// <param name="problem">Code and sentence of why nothing can be decided at all; null while it can.</param>
/// <param name="metrics">In Prometheus' text format.</param>
internal sealed class ClusterDecisions(RiskClusterClient cluster, ServeCounters counters, Func<ServeHealth> health, Func<(string Code, string Sentence)?> problem, Func<string> metrics) : IDecisionApi
{
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(10);
    private static readonly Dictionary<string, ErrorCode> s_codes = Enum.GetValues<ErrorCode>().Where(code => code != ErrorCode.None).ToDictionary(code => code.Text());

    public Task<ServeHealth> Health() => Task.FromResult(health());

    public string Metrics() => metrics();

    public void Fault(string code) => counters.Fault(code);

    public void Dispose()
    {
    }

    public async Task Decide(HttpContext http, ReadOnlyMemory<byte> body, TimeSpan? deadline)
    {
        counters.Add("risk_calls_total", "", 1);
        if (problem() is { } now)
        {
            await Unavailable(http, now);
            return;
        }
        ShardAnswer answer = (await cluster.Decide([body.ToArray()], deadline ?? s_answerMax, http.RequestAborted))[0];
        if (answer.Decision.Length > 0) { await HttpApi.Decision(http, answer.Decision); }
        else if (answer.Code == RiskClusterClient.NotReady && problem() is { } since) { await Unavailable(http, since); }
        else if (answer.Code == RiskClusterClient.NotReady) { await HttpApi.TooLate(http, this, isCallers: deadline is not null); }
        else if (!RiskClusterClient.IsPassing(answer.Code) && s_codes.TryGetValue(answer.Code, out ErrorCode code)) { await HttpApi.Refuse(http, this, code, answer.Field.Length > 0 ? answer.Field : null); }
        else { await Unavailable(http, (answer.Code, "nothing was decided; the same request again is safe")); }
    }

    public async Task Find(HttpContext http, byte[] id)
    {
        if (problem() is { } now)
        {
            await Unavailable(http, now);
            return;
        }
        try
        {
            byte[] json = await cluster.Find(id, s_answerMax, http.RequestAborted);
            await (json.Length > 0 ? HttpApi.Decision(http, json) : HttpApi.NotFound(http));
        }
        catch (TimeoutException)
        {
            await Unavailable(http, problem() ?? ("PARTITION_NOT_SERVED", "no silo answered in time; try again"));
        }
    }

    private Task Unavailable(HttpContext http, (string Code, string Sentence) why)
    {
        counters.Fault(why.Code);
        return HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, why.Code, why.Sentence);
    }
}
