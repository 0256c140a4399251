using System.Globalization;
using System.Text;
using System.Text.Json;
using Risk.Cli;
using Risk.Cli.CommandLine;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Inference.Devices;
using Risk.Service.Costs;
using Risk.Service.Engine;
using Risk.Service.Serving;
using Risk.Storage.Log;

namespace Risk.Accelerators.Tests;

/// <summary>
/// <c>risk serve</c> with an accelerator, in this process: few rows go to the processor, many to the accelerator, because the
/// profiles given here say so; the device dies and comes back; costs add up.
/// </summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class ServedDevicesTests : IDisposable
{
    private const int Together = 48;

    private readonly string _folder = Directory.CreateTempSubdirectory("risk-served").FullName;
    private int _sent;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public Task BothDevicesServe_OneIsLost_NothingElseIs_OnTheProcessor() => ServesLosesAndRecovers("cpu", "CPUExecutionProvider");

    [WebGpuFact]
    public Task BothDevicesServe_OneIsLost_NothingElseIs_OnWebGpu() => ServesLosesAndRecovers("webgpu-software", "WebGpuExecutionProvider");

    [Fact]
    public async Task AcceleratorWithoutAPrice_GetsNoWork_AndIsTold()
    {
        await using (ServeHost host = await Start("cpu", "no-such-price"))
        {
            await Post(host, Together);
            Assert.Equal(0, host.Model.Devices[0].Statistics.Batches);
            Assert.Contains("risk_faults_total{code=\"PRICE_MISSING\"} 1\n", ServeMetrics.Render(host), StringComparison.Ordinal);
        }
        Assert.All(Records(), record => Assert.Equal((0, "", "cpu"), (record.Rung, record.Cause, record.Device)));
    }

    [Fact]
    public async Task WithoutAnyPrices_TheProcessorDecidesAll_AndNothingHasACost()
    {
        await using (ServeHost host = await Start("cpu", "nvidia-t4", book: PriceBook.Unpriced("PRICE_INVALID: made up")))
        {
            await Post(host, Together);
            Assert.Equal(0, host.Model.Devices[0].Statistics.Batches);
            string metrics = ServeMetrics.Render(host);
            Assert.Contains("risk_faults_total{code=\"PRICE_MISSING\"} 1\n", metrics, StringComparison.Ordinal);
            Assert.Contains("risk_priced 0\n", metrics, StringComparison.Ordinal);
            Assert.DoesNotContain("risk_cost_money_total", metrics, StringComparison.Ordinal);
        }
        Assert.All(Records("unpriced"), record => Assert.Equal((0, "", "cpu", default(Cost)), (record.Rung, record.Cause, record.Device, record.Cost)));
    }

    [Fact]
    public async Task LateDevice_IsHedged_TheRecordSaysSo_AndItTakesBatchesAgain()
    {
        using var driver = new ManualResetEventSlim(true); // reset: it keeps the run
        await using (ServeHost host = await Start("cpu", "nvidia-t4", AcceleratorConfiguration.RunMillisMaxMax, deadlineMillis: 1500))
        {
            DeviceSession device = host.Model.Devices[0];
            await Until(host, "the device takes batches", () => device.Statistics.Batches > 0);
            Assert.Equal(0, device.Statistics.Hedges);
            device.Stall(driver);
            for (int tries = 0; tries < 5 && device.Statistics.HedgesLost == 0; tries++)
            {
                driver.Reset();
                // A machine so busy that rows are due before their batch begins does not hedge them: it lets go, and they are tried again.
                using var letGo = new Timer(_ => driver.Set(), null, 20_000, Timeout.Infinite);
                await Post(host, Together);
            }
            Assert.True(device.Statistics.HedgesLost > 0, "the device was never late");
            if (!driver.IsSet)
            {
                Assert.Equal(ScoringStatus.DeviceLate, device.Standing);
                await Post(host, Together);
                Assert.Equal(1, device.Statistics.HedgesLost);
            }
            driver.Set();
            long before = device.Statistics.Batches;
            await Until(host, "the device takes batches again", () => device.Statistics.Batches > before);
            Assert.Equal((0, 0), (device.Statistics.Losses, device.Statistics.Failures));
            Assert.Contains($"risk_device_hedges_total{{device=\"second\",execution_provider=\"CPUExecutionProvider\",outcome=\"lost\"}} {device.Statistics.HedgesLost}\n", ServeMetrics.Render(host), StringComparison.Ordinal);
            Assert.Contains($"risk_device_set_asides_total{{device=\"second\",execution_provider=\"CPUExecutionProvider\"}} {device.Statistics.SetAsides}\n", ServeMetrics.Render(host), StringComparison.Ordinal);
        }
        List<(int Rung, string Cause, string Provider, string Device, Cost Cost)> records = Records();
        Assert.Equal(_sent, records.Count);
        Assert.Contains((1, ModelCodes.DeviceLate, "cpu"), records.Select(r => (r.Rung, r.Cause, r.Device)));
        Assert.All(records.Where(r => r.Rung != 0), r => Assert.Equal((1, ModelCodes.DeviceLate, "cpu"), (r.Rung, r.Cause, r.Device)));
        MeteredRun run = CostsFile.Read(_folder)[^1];
        Assert.Equal(run.Total, run.Active + run.Idle + run.Waste);
        // The late run lasted longer than everything else that the device computed: it is waste, and the larger part.
        MeteredDevice second = run.Devices.Single(d => d.Name == "second");
        Assert.True(second.Waste.NanoJoules > second.Active.NanoJoules, second.ToString());
    }

    [Fact]
    public async Task DeviceWithACounter_IsMeteredByIt_AndTheRecordsSaySo()
    {
        double counted = 0; // 50 J each time that it is asked: much more than the card's stated watts
        await using (ServeHost host = await Start("cpu", "nvidia-t4", joules: () => counted += 50))
        {
            await Until(host, "the device takes batches", () => host.Model.Devices[0].Statistics.Batches > 0);
        }
        List<(int Rung, string Cause, string Provider, string Device, Cost Cost)> records = Records("measured, energy by counter");
        MeteredRun run = CostsFile.Read(_folder)[^1];
        Assert.Equal(run.Total, records.Aggregate(default(Cost), (sum, r) => sum + r.Cost) + run.Unallocated + run.AtEnd);
        Assert.Equal(run.Total, run.Active + run.Idle + run.Waste);
        Assert.Equal([false, true], run.Devices.Select(d => d.IsEnergyCounted));
        Assert.True(run.Devices[1].Total.Joules >= counted - 50, $"{run.Devices[1].Total.Joules} J of {counted}");
        Assert.Contains("energy by its own counter", run.Method, StringComparison.Ordinal);
    }

    private async Task ServesLosesAndRecovers(string provider, string executionProvider)
    {
        MeteredRun atEnd;
        await using (ServeHost host = await Start(provider, "nvidia-t4"))
        {
            DeviceSession device = host.Model.Devices[0];
            for (int i = 0; i < 5; i++) { await Post(host, 1); }
            await Until(host, "the device takes batches", () => device.Statistics.Batches > 0);
            device.Kill();
            await Until(host, "the device is lost", () => device.Statistics.Losses == 1);
            await Post(host, Together);
            await Until(host, "the device is back", () => device.Statistics is { Recoveries: 1, IsUp: true });
            long before = device.Statistics.Batches;
            await Until(host, "the device takes batches again", () => device.Statistics.Batches > before);
            string metrics = ServeMetrics.Render(host), labels = $"device=\"second\",execution_provider=\"{executionProvider}\"";
            Assert.Contains($"risk_device_batch_rows_bucket{{{labels},le=\"64\"}} {device.Statistics.Batches}\n", metrics, StringComparison.Ordinal);
            Assert.Contains($"risk_device_batch_rows_sum{{{labels}}} {device.Statistics.Rows}\n", metrics, StringComparison.Ordinal);
            Assert.Contains($"nv_inference_request_failure{{model=\"card-fraud\",version=\"1\",{labels},reason=\"BACKEND\"}} {device.Statistics.FailedRows}\n", metrics, StringComparison.Ordinal);
            Assert.Contains("nv_inference_request_failure{model=\"card-fraud\",version=\"1\",reason=\"REJECTED\"} 0\n", metrics, StringComparison.Ordinal);
            Assert.Matches("nv_inference_request_duration_us\\{model=\"card-fraud\",version=\"1\"\\} [1-9]", metrics);
            foreach (string line in new[] { "risk_device_energy_joules_total{device=\"second\",part=\"idle\"}", "risk_device_cost_money_total{device=\"second\",part=\"waste\"}", "risk_device_cost_money_total{device=\"cpu\",part=\"active\"}", "nv_energy_consumption{device=\"second\"}", "risk_device_worth_running{device=\"second\"}" })
            {
                Assert.Contains(line, metrics, StringComparison.Ordinal);
            }
            atEnd = host.Costs();
        }

        // I1: each has its decision; both devices made some, and the records say why the processor made others.
        List<(int Rung, string Cause, string Provider, string Device, Cost Cost)> records = Records();
        Assert.Equal(_sent, records.Count);
        Assert.Contains((0, "", "cpu"), records.Select(r => (r.Rung, r.Cause, r.Device)));
        Assert.Contains((0, "", executionProvider, "second"), records.Select(r => (r.Rung, r.Cause, r.Provider, r.Device)));
        Assert.Contains((1, ModelCodes.DeviceLost, "cpu"), records.Select(r => (r.Rung, r.Cause, r.Device)));
        Assert.All(records.Where(r => r.Rung != 0), r => Assert.Equal((1, ModelCodes.DeviceLost, "cpu"), (r.Rung, r.Cause, r.Device)));

        // Costs: what decisions carry is what was metered, the device's idle time and padding included.
        MeteredRun[] runs = [.. CostsFile.Read(_folder)];
        Cost metered = runs.Aggregate(default(Cost), (sum, run) => sum + run.Total), unborne = runs.Aggregate(default(Cost), (sum, run) => sum + run.Unallocated + run.AtEnd);
        Cost borne = records.Aggregate(default(Cost), (sum, r) => sum + r.Cost);
        Assert.Equal(metered, borne + unborne);
        Assert.Equal(_sent, runs.Sum(run => run.To - run.From));
        MeteredDevice second = runs[^1].Devices.Single(d => d.Name == "second");
        Assert.True(second.Idle is { PicoUnits: > 0, NanoJoules: > 0 } && second.Active.PicoUnits > 0 && second.Runs > 0, second.ToString());
        Assert.Equal(runs[^1].Total, runs[^1].Devices.Aggregate(default(Cost), (sum, d) => sum + d.Total));
        Assert.True(metered.PicoUnits >= atEnd.Total.PicoUnits);

        using JsonDocument report = Json("cost", "report", _folder, "--json");
        Assert.Equal(["cpu", "second"], report.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("device").GetString()).Distinct().Order(StringComparer.Ordinal));
        Assert.InRange(report.RootElement.GetProperty("metered").GetProperty("difference").GetDouble(), 0, 0.01);
        using JsonDocument verified = Json("verify", Path.Combine(_folder, "0000"), "--rederive", "--json");
        Assert.Equal(_sent, verified.RootElement.GetProperty("size").GetInt64());
    }

    private async Task<ServeHost> Start(string provider, string prices, int? runMillisMax = null, double? deadlineMillis = null, Func<double?>? joules = null, PriceBook? book = null)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        var configuration = new ServeConfiguration
        {
            Listen = "http://127.0.0.1:0",
            Store = new StoreConfiguration { Directory = _folder },
            Batch = new BatchConfiguration { SizeMax = 64, DelayMaxMillis = 30 },
            Accelerators = [AcceleratorConfiguration.Named(provider) with { Name = "second", Prices = prices, RunMillisMax = runMillisMax }],
            Routing = new RoutingConfiguration { ProcessorProfile = "processor" },
            DeadlineMillis = deadlineMillis,
        };
        StreamFiles files = StreamFiles.Load(configuration.Stream);
        (PriceBook prices0, MachinePrice machine) = book is null ? PriceBookFile.LoadDefault() : (book, book.DefaultMachine()!);
        KeyRing keys = KeyRing.OpenOrCreate(_folder);
        var options = new ServeOptions(configuration, files.Definition, ModelFiles.Load(files.Definition), keys, StoreFiles.Open(configuration.Store, files.Definition.Schema.Name, keys, _folder), null, prices0 with { AgeDaysMax = 1_000_000 }, machine, null)
        {
            Profile = Profile,
            Joules = _ => joules,
        };
        (ServeHost? host, ModelRefusal? refusal) = await ServeHost.Start(options, CancellationToken.None);
        Assert.True(host is not null, refusal?.Reason);
        Assert.True(SpinWait.SpinUntil(() => host.Health().IsReady, TimeSpan.FromSeconds(60)), "never ready");
        return host;
    }

    /// <summary>A row costs the processor a millisecond; the accelerator asks four of it for as many as there are.</summary>
    private static DeviceProfile? Profile(string name)
    {
        static CostPoint Processor(int rows) => new(rows, 1_000 * rows, 1_000 * rows, 0, 1_000 * rows);
        static CostPoint Second(int rows) => new(rows, 4_000, 4_000, 0, 4_000);
        string[] variants = [DeviceModel.Original, "gemm", "tree-traversal", "perfect-tree-traversal", "forest-kernel"];
        var power = new DevicePower(default, default, EnergyMethod.Model);
        return name switch
        {
            "processor" => new DeviceProfile(name, DeviceKind.Cpu, "", "", FigureBasis.Measured, "made up", "", "", "", default, false, power, [new ModelCurve("card-fraud", "1", "forest-kernel", null, [Processor(1), Processor(64)])]),
            "second" => new DeviceProfile(name, DeviceKind.Gpu, "", "", FigureBasis.Measured, "made up", "", "", "", default, true, power, [.. variants.Select(v => new ModelCurve("card-fraud", "1", v, null, [Second(8), Second(64)]))]),
            _ => null,
        };
    }

    /// <summary>Posts until it is so; a batch that gathers many rows goes to the accelerator.</summary>
    private async Task Until(ServeHost host, string what, Func<bool> condition)
    {
        var waited = System.Diagnostics.Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(90), $"not in {waited.Elapsed}: {what}");
            await Post(host, Together);
        }
    }

    private async Task Post(ServeHost host, int count)
    {
        using var http = new HttpClient { BaseAddress = new Uri(host.Address), Timeout = TimeSpan.FromSeconds(60) };
        int first = _sent;
        _sent += count;
        string[] replies = await Task.WhenAll(Enumerable.Range(first, count).Select(async n =>
        {
            using var body = new StringContent(Payment(n));
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/decisions") { Content = body };
            request.Headers.Add("Deadline-Ms", "60000");
            using HttpResponseMessage reply = await http.SendAsync(request);
            return $"{(int)reply.StatusCode}{(reply.IsSuccessStatusCode ? "" : await reply.Content.ReadAsStringAsync())}";
        }));
        Assert.All(replies, reply => Assert.Equal("200", reply));
    }

    private static string Payment(int n) => string.Create(CultureInfo.InvariantCulture,
        $$"""{"transaction_id":"p{{n}}","time":"{{new DateTime(2026, 11, 1, 0, 0, 0, DateTimeKind.Utc).AddMilliseconds(n * 20):yyyy-MM-ddTHH:mm:ss.fffZ}}","customer_id":"c{{n % 50}}","terminal_id":"t{{n % 20}}","amount":{{1 + (n % 90)}}}""");

    private List<(int Rung, string Cause, string Provider, string Device, Cost Cost)> Records(string method = "measured")
    {
        List<(int, string, string, string, Cost)> records = [];
        using DecisionLogReader reader = DecisionLogReader.Open(Path.Combine(_folder, "0000"));
        while (reader.Read())
        {
            Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
            Assert.Equal(method, Encoding.UTF8.GetString(record.CostMethod));
            records.Add((record.Rung, Encoding.UTF8.GetString(record.RungCause), Encoding.UTF8.GetString(record.ExecutionProvider), Encoding.UTF8.GetString(record.Device),
                new Cost((long)Math.Round(record.CostMoney * 1e12), (long)Math.Round(record.CostJoules * 1e9))));
        }
        return records;
    }

    private static JsonDocument Json(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int found = RiskCommandLine.Invoke(arguments, output, error).GetAwaiter().GetResult();
        Assert.True(found == 0, $"exit {found}: {error} {output}");
        return JsonDocument.Parse(output.ToString());
    }
}
