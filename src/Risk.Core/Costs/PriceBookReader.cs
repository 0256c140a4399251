using System.Text.Json;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Costs;

/// <summary>
/// Reads a price book:
/// <code>
/// { "name": "default", "version": 1, "currency": "EUR", "note": "for people",
///   "ageDaysOld": 400, "ageDaysMax": 1830, "power": FIGURE, "pue": FIGURE,
///   "machines": [ { "name": "cloud-2", "tenure": "rented|owned", "cores": 2, "note": "for people",
///     "purchase": FIGURE in EUR, USD, …, "lifeYears": FIGURE, "hourly": FIGURE in EUR/h, USD/h, …, "idleWatts": FIGURE, "fullWatts": FIGURE,
///     "utilisation": FIGURE, "cpuMicrosPerDecision": FIGURE, "slots": FIGURE in 1 } ],
///   "currencies": […], "devices": […] }                        see <see cref="DevicePriceReader"/>
///                                                              may be left out: both ages, slots, currencies, devices
/// FIGURE: see <see cref="FigureReader"/>
/// </code>
/// Used once.
/// </summary>
internal sealed class PriceBookReader
{
    private const string Invalid = "PRICE_INVALID";
    private const string Missing = "PRICE_MISSING";

    private readonly ICollection<DefinitionError> _errors;
    private readonly DefinitionReader _reader;
    private readonly FigureReader _figures;

    public PriceBookReader(string file, ICollection<DefinitionError> errors)
    {
        _errors = errors;
        _reader = new DefinitionReader(Invalid, file, errors);
        _figures = new FigureReader(_reader, Missing, Invalid);
    }

    /// <param name="deviceErrors">Where faults of devices and currencies go, each leaving out its device; null when they are faults of the book like any other.</param>
    public PriceBook? Read(ReadOnlyMemory<byte> bytes, ICollection<DefinitionError>? deviceErrors = null)
    {
        int before = _errors.Count;
        using JsonDocument? document = _reader.Open(bytes, PriceBook.FileSizeMax);
        if (document is null)
            return null;
        JsonElement root = document.RootElement;
        _reader.IsObject(root, "$", "name", "version", "currency", "note", "ageDaysOld", "ageDaysMax", "power", "pue", "currencies", "machines", "devices");
        if (root.ValueKind != JsonValueKind.Object)
            return null;

        string? name = _reader.Text(root, "$", "name");
        int? version = _reader.Integer(root, "$", "version", 1, int.MaxValue);
        string currency = _reader.Text(root, "$", "currency") ?? "";
        if (currency.Length != 3 || !currency.All(char.IsAsciiLetterUpper))
            _reader.Add(Invalid, "$.currency", "needs an ISO 4217 code such as EUR");
        PriceFigure power = Figure(root, "$", "power", $"{currency}/kWh", 0, 1_000);
        PriceFigure pue = Figure(root, "$", "pue", "1", 1, 10);
        int ageDaysOld = Days(root, "ageDaysOld", PriceBook.AgeDaysOldDefault), ageDaysMax = Days(root, "ageDaysMax", PriceBook.AgeDaysMaxDefault);
        DefinitionReader deviceReader = deviceErrors is null ? _reader : new DefinitionReader(Invalid, _reader.File, deviceErrors);
        DevicePriceReader devices = new(deviceReader, deviceErrors is null ? _figures : new FigureReader(deviceReader, Missing, Invalid), Missing, Invalid);
        List<CurrencyRate> currencies = devices.ReadCurrencies(root, currency);
        List<MachinePrice> machines = ReadMachines(root, devices.Usable(currency, currencies));
        List<DevicePrice> prices = devices.ReadDevices(root, currency, currencies, machines);
        return _errors.Count > before ? null : new PriceBook(name!, version!.Value, currency, power, pue, machines, Sha256Digest.Of(bytes.Span))
        {
            AgeDaysOld = ageDaysOld,
            AgeDaysMax = ageDaysMax,
            Currencies = currencies,
            Devices = prices,
        };
    }

    private List<MachinePrice> ReadMachines(JsonElement root, string[] currencies)
    {
        List<MachinePrice> machines = [];
        if (!root.TryGetProperty("machines", out JsonElement list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() is 0 or > PriceBook.MachineCountMax)
        {
            _reader.Add(Invalid, "$.machines", $"needs a list of 1 to {PriceBook.MachineCountMax} machines");
            return machines;
        }
        int index = 0;
        foreach (JsonElement element in list.EnumerateArray())
        {
            string path = $"$.machines[{index++}]";
            if (ReadMachine(element, path, currencies) is not { } machine)
                continue;
            if (machines.Exists(other => other.Name == machine.Name))
                _reader.Add(Invalid, $"{path}.name", $"'{machine.Name}' is the name of an earlier machine as well");
            machines.Add(machine);
        }
        return machines;
    }

    private MachinePrice? ReadMachine(JsonElement element, string path, string[] currencies)
    {
        _reader.IsObject(element, path, "name", "tenure", "cores", "note", "purchase", "lifeYears", "hourly", "idleWatts", "fullWatts", "utilisation", "cpuMicrosPerDecision", "slots");
        if (element.ValueKind != JsonValueKind.Object)
            return null;
        string name = _reader.Text(element, path, "name") ?? "";
        string? tenure = _reader.Text(element, path, "tenure");
        if (tenure is not (null or "rented" or "owned"))
            _reader.Add(Invalid, $"{path}.tenure", $"'{tenure}' is neither rented nor owned");
        int cores = _reader.Integer(element, path, "cores", 1, 4_096) ?? 1;
        PriceFigure idle = Figure(element, path, "idleWatts", "W", 0, 100_000);
        PriceFigure full = Figure(element, path, "fullWatts", "W", 0, 100_000);
        if (full.Value < idle.Value)
            _reader.Add(Invalid, $"{path}.fullWatts", $"is {full.Value:R} W, below idle {idle.Value:R} W");
        return new MachinePrice(
            name, tenure == "owned" ? Tenure.Owned : Tenure.Rented, cores,
            Money(element, path, "purchase", "", currencies, 1e8),
            Figure(element, path, "lifeYears", "years", 0.1, 50),
            Money(element, path, "hourly", "/h", currencies, 10_000),
            idle, full,
            Figure(element, path, "utilisation", "1", 0.001, 1),
            Figure(element, path, "cpuMicrosPerDecision", "µs", 0.001, 1e9))
        {
            Slots = _figures.ReadOptional(element, path, "slots", "1", 1, 1_024),
        };
    }

    private int Days(JsonElement root, string name, int otherwise) => root.TryGetProperty(name, out _) ? _reader.Integer(root, "$", name, 1, 100_000) ?? 1 : otherwise;

    private PriceFigure Money(JsonElement owner, string ownerPath, string name, string suffix, string[] currencies, double max) =>
        Figure(owner, ownerPath, name, DevicePriceReader.MoneyUnit(owner.TryGetProperty(name, out JsonElement figure) ? figure : default, suffix, currencies), 0, max);

    private PriceFigure Figure(JsonElement owner, string ownerPath, string name, string unit, double min, double max) =>
        _figures.Read(owner, ownerPath, name, unit, min, max);
}
