using System.Text;
using System.Text.Json.Nodes;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Tests.Decisions;
using static Risk.Core.Tests.Costs.PriceBookTests;

namespace Risk.Core.Tests.Costs;

public sealed class DevicePriceTests
{
    private static readonly DateOnly s_today = new(2026, 11, 22);

    [Fact]
    public void ShippedBook_HasTheMarketsDevices_EachFigureWithItsOrigin()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json"));
        Assert.Superset(
            new HashSet<string> { "nvidia-a100", "nvidia-h100", "nvidia-h200", "nvidia-t4", "nvidia-l4", "habana-goya-hl-100", "habana-gaudi", "aws-inferentia", "huawei-ascend-310", "huawei-ascend-910b", "alibaba-hanguang-800", "inference-card-150w", "amd-vck5000", "amd-alveo-u250", "google-tpu-v5e" },
            book.Devices.Select(device => device.Name).ToHashSet());
        Assert.All(book.Devices, device => Assert.All(
            [.. new[] { device.Purchase, device.Life, device.Hourly }.OfType<PriceFigure>(), device.HostCores, device.Idle, device.Full, device.Start],
            figure => Assert.True(figure is { Source.Length: > 10, Date.Year: > 2010 } && (figure.Basis != FigureBasis.Assumed || figure.Low < figure.High || figure.Source.StartsWith("the customer's brief", StringComparison.Ordinal)), $"{device.Name}: {figure}")));
        DevicePrice a100 = book.Devices.Single(device => device.Name == "nvidia-a100");
        Assert.Equal((400, FigureBasis.Published), (a100.Full.Value, a100.Full.Basis));
        Assert.True(a100.Purchase!.Value is { Low: >= 10_000, Unit: "USD" });
        Assert.Equal((30_000, 40_000, "CNY"), (book.Devices.Single(device => device.Name == "inference-card-150w").Purchase!.Value is var card ? (card.Low, card.High, card.Unit) : default));
        Assert.Equal(2_745, book.Devices.Single(device => device.Name == "amd-vck5000").Purchase!.Value.Value);
    }

    [Theory]
    [InlineData("devices.0.purchase.value", "-1", "PRICE_INVALID", "$.devices[0].purchase.value")]
    [InlineData("devices.0.purchase.unit", "\"GBP\"", "PRICE_INVALID", "$.devices[0].purchase.unit")]
    [InlineData("devices.0.hourly.unit", "\"USD\"", "PRICE_INVALID", "$.devices[0].hourly.unit")]
    [InlineData("devices.0.hourly", null, "PRICE_MISSING", "$.devices[0].hourly")]
    [InlineData("devices.0.lifeYears", null, "PRICE_MISSING", "$.devices[0].lifeYears")]
    [InlineData("devices.0.idleWatts.source", null, "PRICE_MISSING", "$.devices[0].idleWatts.source")]
    [InlineData("devices.0.fullWatts.value", "50", "PRICE_INVALID", "$.devices[0].fullWatts")]
    [InlineData("devices.0.host", "\"mainframe\"", "PRICE_INVALID", "$.devices[0].host")]
    [InlineData("devices.0.tenure", "\"stolen\"", "PRICE_INVALID", "$.devices[0].tenure")]
    [InlineData("devices.1.name", "\"nvidia-a100\"", "PRICE_INVALID", "$.devices[1].name")]
    [InlineData("currencies.0.rate.unit", "\"USD/EUR\"", "PRICE_INVALID", "$.currencies[0].rate.unit")]
    [InlineData("currencies.0.rate.value", "-1", "PRICE_INVALID", "$.currencies[0].rate.value")]
    [InlineData("currencies.0.currency", "\"EUR\"", "PRICE_INVALID", "$.currencies[0].currency")]
    [InlineData("ageDaysMax", "0", "PRICE_INVALID", "$.ageDaysMax")]
    public void OneChange_IsOneCodedError(string member, string? json, string code, string path)
    {
        List<DefinitionError> errors = [];
        Assert.False(PriceBook.TryRead(ChangedAt(member, json), "prices.json", errors, out _));
        Assert.Contains(errors, error => error.Code == code && error.Path == path);
    }

    [Fact]
    public void DeviceWithABadPrice_IsLeftOut_AndTheEngineStaysUpOnTheOthers()
    {
        List<DefinitionError> errors = [], deviceErrors = [];
        Assert.True(PriceBook.TryReadForEngine(ChangedAt("devices.0.hourly.value", "-2"), "prices.json", errors, deviceErrors, out PriceBook? book));
        Assert.Empty(errors);
        Assert.Contains(deviceErrors, error => error is { Code: "PRICE_INVALID", Path: "$.devices[0].hourly.value" });
        Assert.DoesNotContain(book.Devices, device => device.Name == "nvidia-a100");
        Assert.Contains(book.Devices, device => device.Name == "nvidia-t4");
        Assert.True(book.TryMachine("cloud-2", out _));
        Assert.False(book.TryDevice("nvidia-a100", null, s_today, null, errors, out _));
        Assert.Equal("PRICE_MISSING", Assert.Single(errors).Code);
    }

    [Fact]
    public void OldPrice_IsStale_OnTheDayAfterItsLast()
    {
        PriceBook book = Dated("2024-12-31", "2024-01-02");
        List<DefinitionError> errors = [];
        DevicePrice a100 = book.Devices.Single(device => device.Name == "nvidia-a100");
        DateOnly last = a100.Hourly!.Value.Date.AddDays(400);
        Assert.False(book.TryDevice("nvidia-a100", null, last, 399, errors, out _));
        Assert.Equal(["PRICE_STALE", "PRICE_STALE"], errors.Select(error => error.Code));
        Assert.Contains("400 days old", errors[0].Sentence, StringComparison.Ordinal);
        Assert.Equal("$.currencies[0].rate", errors[1].Path);
        errors.Clear();
        Assert.True(book.TryDevice("nvidia-a100", null, last, 1_000, errors, out DevicePrice? device));
        Assert.Same(a100, device);
        book.RequireFreshMachine(book.Machines[0], new DateOnly(2040, 1, 1), null, errors);
        Assert.Equal([("PRICE_STALE", "$.machines[0].hourly"), ("PRICE_STALE", "$.currencies[0].rate")], errors.Select(error => (error.Code, error.Path)));
    }

    [Fact]
    public void PriceThatIsOld_IsWarnedOf_AndUsedUntilItIsStale()
    {
        PriceBook book = Dated("2024-12-31", "2026-01-02");
        DevicePrice a100 = book.Devices[0];
        DateOnly date = a100.Hourly!.Value.Date;
        Assert.Empty(book.Old(book.PricesOf(a100, Tenure.Rented), date.AddDays(400)));
        DefinitionError old = Assert.Single(book.Old(book.PricesOf(a100, Tenure.Rented), date.AddDays(401)));
        Assert.Equal(("PRICE_OLD", "$.devices[0].hourly"), (old.Code, old.Path));
        Assert.Contains("of 2024-12", old.Sentence, StringComparison.Ordinal);
        List<DefinitionError> errors = [];
        Assert.True(book.TryDevice("nvidia-a100", Tenure.Rented, date.AddDays(book.AgeDaysMax), null, errors, out _));
        Assert.False(book.TryDevice("nvidia-a100", Tenure.Rented, date.AddDays(book.AgeDaysMax + 1), null, errors, out _));
        Assert.Equal("PRICE_STALE", errors[0].Code);
    }

    [Fact]
    public void SharedBook_HasNoRangesWhereBothSidesAreTheSame()
    {
        PriceBook shared = Read(Shipped.Bytes("ops/prices/default.json")).Sharing("server-64");
        Assert.True(shared.TryMachine("server-64", out MachinePrice? server));
        Assert.True(shared.TryMachine("cloud-2", out MachinePrice? cloud));
        Assert.All([shared.Power, shared.PowerUsageEffectiveness, server.Purchase, server.Life, server.Idle, server.Full, server.Slots!.Value], figure => Assert.Equal((figure.Value, figure.Value), (figure.Low, figure.High)));
        DevicePrice t4 = shared.Devices.Single(device => device.Name == "nvidia-t4");
        Assert.True(cloud.Hourly.Low < cloud.Hourly.High && t4.Purchase!.Value.Low < t4.Purchase.Value.High);
    }

    [Fact]
    public void RateThatBothSidesPay_HasNoRange_AndAnotherKeepsItsOwn()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json")), shared = book.SharingRateOf(book.DefaultMachine()!.Hourly);
        Assert.Equal([("USD", true), ("CNY", false)], shared.Currencies.Select(rate => (rate.Currency, rate.Rate.Low == rate.Rate.High)));
        Assert.Equal(0.11592 * 0.8442, shared.InCurrency(shared.DefaultMachine()!.Hourly).Value, 1e-12);
        Assert.Same(book, book.SharingRateOf(book.DefaultMachine(Tenure.Owned)!.Purchase));
    }

    [Fact]
    public void MachineInACurrencyWhoseRateIsWrong_CannotBePriced()
    {
        List<DefinitionError> errors = [], deviceErrors = [];
        Assert.False(PriceBook.TryReadForEngine(ChangedAt("currencies.0.rate.value", "-1"), "prices.json", errors, deviceErrors, out _));
        Assert.Contains(errors, error => error is { Code: "PRICE_INVALID", Path: "$.machines[0].hourly.unit" });
        Assert.Contains(deviceErrors, error => error is { Code: "PRICE_INVALID", Path: "$.currencies[0].rate.value" });
    }

    [Fact]
    public void PriceOfTheFuture_IsRefused()
    {
        PriceBook book = Dated("2024-12-31", "2024-01-02");
        List<DefinitionError> errors = [];
        DateOnly date = book.Devices.Single(device => device.Name == "nvidia-a100").Hourly!.Value.Date;
        Assert.False(book.TryDevice("nvidia-a100", null, date.AddDays(-2), null, errors, out _));
        Assert.Equal(("PRICE_INVALID", "$.devices[0].hourly"), (Assert.Single(errors).Code, errors[0].Path));
        // It may be a day later where the book was written.
        Assert.True(book.TryDevice("nvidia-a100", null, date.AddDays(-1), null, errors, out _));
    }

    [Fact]
    public void WhatCannotBeBought_HasNoPurchase()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json"));
        List<DefinitionError> errors = [];
        Assert.False(book.TryDevice("google-tpu-v5e", Tenure.Owned, s_today, null, errors, out _));
        Assert.Equal("PRICE_MISSING", Assert.Single(errors).Code);
    }

    [Fact]
    public void OwnedDevice_CostsItsLinesSum()
    {
        JsonNode root = JsonNode.Parse(Shipped.Bytes("ops/prices/default.json"))!;
        root["power"] = JsonNode.Parse(Figure(0.2, "EUR/kWh"));
        root["pue"] = JsonNode.Parse(Figure(1.5, "1"));
        root["currencies"]![0]!["rate"] = JsonNode.Parse(Figure(0.9, "EUR/USD"));
        JsonNode host = root["machines"]!.AsArray().Single(machine => (string)machine!["name"]! == "server-64")!;
        (host["tenure"], host["cores"]) = ("rented", 64);
        host["hourly"] = JsonNode.Parse(Figure(6.4, "EUR/h"));
        JsonNode device = root["devices"]![0]!;
        device["hostCores"] = JsonNode.Parse(Figure(2, "cores"));
        device["purchase"] = JsonNode.Parse(Figure(8_766, "USD"));
        device["lifeYears"] = JsonNode.Parse(Figure(1, "years"));
        device["idleWatts"] = JsonNode.Parse(Figure(100, "W"));
        device["fullWatts"] = JsonNode.Parse(Figure(400, "W"));
        PriceBook book = Read(Encoding.UTF8.GetBytes(root.ToJsonString()));

        DeviceRates rates = DeviceRates.OfDevice(book, book.Devices[0], Tenure.Owned);
        Assert.Equal(0.9, rates.OffPerHour.Value, 1e-12);                       // 8766 USD × 0.9 ÷ 8766 h
        Assert.Equal(0.9 + 0.2 + (0.15 * 0.2), rates.OnPerHour.Value, 1e-12);   // + 2 cores of 0.1 + 150 W at the meter
        Assert.Equal(0.45 * 0.2, rates.BusyPerHour.Value, 1e-12);               // 300 W more, × 1.5
        Assert.Equal((150, 600), (rates.IdleWatts.Value, rates.FullWatts.Value));
        Assert.Equal(rates.OnPerHour, rates.Lines.Single(line => line.What == "an hour switched on").Result);
        Assert.Contains(rates.Lines, line => line.Paths.Contains("$.devices[0].purchase") && line.Paths.Contains("$.currencies[0].rate"));
        // Every path named in the arithmetic is there in the book.
        Assert.All(rates.Lines.SelectMany(line => line.Paths), path => Assert.NotNull(At(root, path)));

        DeviceRates rented = DeviceRates.OfDevice(book, book.Devices[0], Tenure.Rented);
        Assert.Equal(2.7447 * 0.9, rented.OnPerHour.Value, 1e-12);
        Assert.Equal((0, 0), (rented.OffPerHour.Value, rented.BusyPerHour.Value));
    }

    /// <summary>The shipped book with days of its first device's hourly price and of its first exchange rate.</summary>
    private static PriceBook Dated(string hourly, string rate)
    {
        JsonNode root = JsonNode.Parse(Shipped.Bytes("ops/prices/default.json"))!;
        root["devices"]![0]!["hourly"]!["date"] = hourly;
        root["currencies"]![0]!["rate"]!["date"] = rate;
        return Read(Encoding.UTF8.GetBytes(root.ToJsonString()));
    }

    private static JsonNode? At(JsonNode root, string path)
    {
        JsonNode? node = root;
        foreach (string step in path[2..].Replace("[", ".", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Split('.'))
            node = node is JsonArray list ? list[int.Parse(step)] : node?[step];
        return node;
    }

    private static byte[] ChangedAt(string member, string? json) => Devices.DeviceProfileTests.Changed(Shipped.Bytes("ops/prices/default.json"), member, json);
}
