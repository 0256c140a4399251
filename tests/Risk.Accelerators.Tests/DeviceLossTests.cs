using System.Collections.Concurrent;
using System.Text;
using Risk.Cli;
using Risk.Cli.Verbs;
using Risk.Core;
using Risk.Core.Devices;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference.Devices;
using Risk.Service.Engine;
using Risk.Storage.Log;
using Risk.Streams;

namespace Risk.Accelerators.Tests;

/// <summary>Fault 25: a device is lost in mid-stream. No decision is lost, the records say what happened, and it comes back by itself.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class DeviceLossTests : IDisposable
{
    private const int BatchSize = 128;

    private readonly string _folder = Directory.CreateTempSubdirectory("risk-loss").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void DeviceLostInMidStream_OnTheProcessor() => LosesAndRecovers(AcceleratorConfiguration.Named("cpu") with { Name = "second-session" }, "CPUExecutionProvider", 6_000);

    [WebGpuFact]
    public void DeviceLostInMidStream_OnWebGpu() => LosesAndRecovers(AcceleratorConfiguration.Named("webgpu-software"), "WebGpuExecutionProvider", 1_500);

    [Fact]
    public void AcceleratorThatCannotBeUsed_IsTold_AndTheEngineServesOnTheProcessor()
    {
        var told = new ConcurrentQueue<DeviceRefusal>();
        using EmbeddedEngine engine = Open(AcceleratorConfiguration.Named("no-such-thing"), told, out StreamInput input);
        using (input) { engine.Run(input.Source, input.CreateParser(engine.Keys, true), new RunOptions(0, 500, true, false)); }
        Assert.Equal(DeviceCodes.UnknownProvider, Assert.Single(told).Code);
        Assert.Equal(500, engine.LogSize);
        Assert.All(Records(), record => Assert.Equal(0, record.Rung));
    }

    private void LosesAndRecovers(AcceleratorConfiguration accelerator, string provider, int transactions)
    {
        var told = new ConcurrentQueue<DeviceRefusal>();
        using (EmbeddedEngine engine = Open(accelerator, told, out StreamInput input))
        using (input)
        {
            DeviceSession device = Assert.Single(engine.Model.Devices);
            // A third on the device, then it dies; when two thirds are read, the source waits until it is back.
            using var source = new Interrupted(input.Source, transactions / 3, () =>
            {
                WaitFor(() => device.Statistics.Batches > 0, "no batch reached the device");
                device.Kill();
            }, 2 * transactions / 3, () => WaitFor(() => device.Statistics is { Losses: 1, IsUp: true }, "the device did not come back"));
            RunReport report = engine.Run(source, input.CreateParser(engine.Keys, true), new RunOptions(0, transactions, true, false));
            Assert.Equal(transactions, report.Transactions);
            Assert.Equal((1, 1), (device.Statistics.Losses, device.Statistics.Recoveries));
        }
        Assert.Equal([ModelCodes.DeviceLost, DeviceCodes.Recovered], told.Select(t => t.Code));
        List<(int Rung, string Cause, string Provider, string Device, long Sequence)> records = Records();
        Assert.Equal(transactions, records.Count);
        Assert.Equal(Enumerable.Range(0, transactions).Select(n => (long)n), records.Select(r => r.Sequence));
        Assert.Equal((0, "", provider, accelerator.Name), (records[0].Rung, records[0].Cause, records[0].Provider, records[0].Device));
        Assert.Equal((0, "", provider, accelerator.Name), (records[^1].Rung, records[^1].Cause, records[^1].Provider, records[^1].Device));
        var degraded = records.FindAll(r => r.Rung != 0);
        Assert.InRange(degraded.Count, BatchSize, transactions - (2 * BatchSize));
        Assert.All(degraded, r => Assert.Equal((1, ModelCodes.DeviceLost), (r.Rung, r.Cause)));
        Assert.All(degraded, r => Assert.NotEqual(accelerator.Name, r.Device));
    }

    private EmbeddedEngine Open(AcceleratorConfiguration accelerator, ConcurrentQueue<DeviceRefusal> told, out StreamInput input)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        StreamFiles files = StreamFiles.Load("card-payments");
        KeyRing keys = KeyRing.Reproducible(files.Definition.Schema.Name, _folder);
        input = StreamInput.Open(files, null, null, keys);
        var (prices, machine) = PriceBookFile.LoadDefault();
        var options = new EngineOptions(_folder, files.Definition, ModelFiles.Load(files.Definition), keys, "test", null, new BatchPolicy(BatchSize), prices, machine, true)
        {
            Devices = new ServingDevices([accelerator], told.Enqueue, new DeviceRetry(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(200))),
        };
        return EmbeddedEngine.Open(options, out ModelRefusal? refusal) ?? throw new InvalidOperationException(refusal?.ToString());
    }

    private List<(int Rung, string Cause, string Provider, string Device, long Sequence)> Records()
    {
        List<(int, string, string, string, long)> records = [];
        using DecisionLogReader reader = DecisionLogReader.Open(_folder);
        while (reader.Read())
        {
            Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
            records.Add((record.Rung, Text(record.RungCause), Text(record.ExecutionProvider), Text(record.Device), reader.Sequence));
        }
        return records;
    }

    private static string Text(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);

    private static void WaitFor(Func<bool> condition, string otherwise) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(90)), otherwise);

    /// <summary>A source that does something before two of its records.</summary>
    private sealed class Interrupted(ITransactionSource source, int first, Action atFirst, int second, Action atSecond) : ITransactionSource
    {
        private int _read;

        public SourceIdentity Identity => source.Identity;
        public long BytesRead => source.BytesRead;
        public bool WouldWait => source.WouldWait;
        public CodedError? Failure => source.Failure;

        public bool TryRead(out SourceRecord record)
        {
            if (_read == first) { atFirst(); }
            if (_read == second) { atSecond(); }
            _read++;
            return source.TryRead(out record);
        }

        public bool SkipTo(long lineNumber) => source.SkipTo(lineNumber);

        public void Dispose()
        {
        }
    }
}
