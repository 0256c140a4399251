using Risk.Cli;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference.Devices;
using Risk.Service.Engine;
using Risk.Streams;

namespace Risk.Accelerators.Tests;

/// <summary>What scorers do before the first batch is paid for, and is no batch.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class WarmUpChargeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-warm-up").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void OpeningMeasuringAndWarmingUp_AreCharged_AndTheFirstBatchIsTheFirst()
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        StreamFiles files = StreamFiles.Load("card-payments");
        var devices = new ServingDevices([AcceleratorConfiguration.Named("cpu") with { Name = "second", Prices = "nvidia-t4" }], told => Assert.Fail($"{told}"));
        Assert.True(ServingModel.TryOpen(ModelFiles.Load(files.Definition), files.Definition, 64, devices, out ServingModel? model, out ModelRefusal? refusal), refusal?.Reason);
        using (model)
        {
            DeviceStatistics device = Assert.Single(model.Devices).Statistics, processor = model.Scorers.ElementAt(1).Statistics;
            long opened = OnlyWarmedUp(device);
            Assert.True(opened > 0);

            // No profile fits, so both are measured.
            (PriceBook prices, MachinePrice machine) = PriceBookFile.LoadDefault();
            DeviceRoutes routes = DeviceRoutes.Create(model, new RoutingOptions { Joules = _ => null }, prices with { AgeDaysMax = 1_000_000 }, machine, 64, new DateOnly(2026, 11, 1), () => 0);
            Assert.NotNull(routes.Dispatch);
            (long OfDevice, long OfProcessor) measured = (OnlyWarmedUp(device), OnlyWarmedUp(processor));
            Assert.True(measured.OfDevice > opened && measured.OfProcessor > 0, $"{measured}");

            KeyRing ring = KeyRing.Reproducible(files.Definition.Schema.Name, _folder);
            var keys = new TransactionKeys(files.Definition.Schema.Name, new KeyedHash(new byte[KeyedHash.KeySize]));
            using (StreamInput input = StreamInput.Open(files, null, null, ring)) { model.WarmUp(files.Definition, new FirstOf(input.Source, 200), input.CreateParser(keys, true)); }
            Assert.True(OnlyWarmedUp(device) > measured.OfDevice);
            Assert.Equal(measured.OfProcessor, OnlyWarmedUp(processor)); // nobody came to it

            float[] scores = new float[2];
            Assert.Equal(0, model.Ladder.Score(new float[2 * model.Devices[0].FeatureCount], 2, scores).Rung);
            Assert.Equal((1, 2), (device.Batches, device.Rows));
            Assert.True(device.Use.BusyMicros > device.Use.WarmUpMicros);
        }
    }

    /// <summary>Microseconds of warm-up; nothing else has been.</summary>
    private static long OnlyWarmedUp(DeviceStatistics of)
    {
        Assert.Equal((0, 0, of.Use.BusyMicros), (of.Batches, of.Rows, of.Use.WarmUpMicros));
        return of.Use.WarmUpMicros;
    }

    /// <summary>So many records of a source.</summary>
    private sealed class FirstOf(ITransactionSource source, int count) : ITransactionSource
    {
        private int _read;

        public SourceIdentity Identity => source.Identity;
        public long BytesRead => source.BytesRead;
        public bool WouldWait => source.WouldWait;
        public CodedError? Failure => source.Failure;

        public bool TryRead(out SourceRecord record)
        {
            record = default;
            return _read++ < count && source.TryRead(out record);
        }

        public bool SkipTo(long lineNumber) => source.SkipTo(lineNumber);

        public void Dispose()
        {
        }
    }
}
