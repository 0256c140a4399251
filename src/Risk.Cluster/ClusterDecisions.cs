using Microsoft.AspNetCore.Http;
using Risk.Core.Transactions;
using Risk.Service.Serving;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Cluster;

/// <summary>HTTP's requests on a cluster, at the front and at every silo: asked wherever the partition is served.</summary>
/// <param name="health">Whether this process can do so.</param>
/// <param name="metrics">In Prometheus' text format.</param>
internal sealed class ClusterDecisions(RiskClusterClient cluster, ServeCounters counters, Func<Task<ServeHealth>> health, Func<string> metrics) : IDecisionApi
{
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(10);
    private static readonly Dictionary<string, ErrorCode> s_codes = Enum.GetValues<ErrorCode>().Where(code => code != ErrorCode.None).ToDictionary(code => code.Text());

    public Task<ServeHealth> Health() => health();

    public string Metrics() => metrics();

    public void Fault(string code) => counters.Fault(code);

    public void Dispose()
    {
    }

    public async Task Decide(HttpContext http, ReadOnlyMemory<byte> body, TimeSpan? deadline)
    {
        counters.Add("risk_calls_total", "", 1);
        ShardAnswer answer = (await cluster.Decide([body.ToArray()], deadline ?? s_answerMax, http.RequestAborted))[0];
        if (answer.Decision.Length > 0) { await HttpApi.Decision(http, answer.Decision); }
        else if (answer.Code == RiskClusterClient.NotReady) { await HttpApi.TooLate(http, this, isCallers: deadline is not null); }
        else if (!RiskClusterClient.IsPassing(answer.Code) && s_codes.TryGetValue(answer.Code, out ErrorCode code)) { await HttpApi.Refuse(http, this, code, answer.Field.Length > 0 ? answer.Field : null); }
        else { await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, answer.Code, "nothing was decided; the same request again is safe"); }
    }

    public async Task Find(HttpContext http, byte[] id)
    {
        try
        {
            byte[] json = await cluster.Find(id, s_answerMax, http.RequestAborted);
            await (json.Length > 0 ? HttpApi.Decision(http, json) : HttpApi.NotFound(http));
        }
        catch (TimeoutException)
        {
            await HttpApi.Busy(http, StatusCodes.Status503ServiceUnavailable, "PARTITION_NOT_SERVED", "no silo answered in time; try again");
        }
    }
}
