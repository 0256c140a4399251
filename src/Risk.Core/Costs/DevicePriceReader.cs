using System.Text.Json;
using Risk.Core.Decisions;

namespace Risk.Core.Costs;

/// <summary>
/// Reads the parts of a price book that are about accelerators:
/// <code>
/// "currencies": [ { "currency": "USD", "rate": FIGURE in EUR/USD } ],
/// "devices": [ { "name": "nvidia-a100", "tenure": "rented|owned", "host": "server-64", "note": "for people",
///   "hostCores": FIGURE in cores, "purchase": FIGURE in EUR, USD, …, "lifeYears": FIGURE, "hourly": FIGURE in EUR/h, USD/h, …,
///   "idleWatts": FIGURE, "fullWatts": FIGURE, "startMinutes": FIGURE in min } ]
/// </code>
/// purchase with lifeYears, or hourly, may be left out where the tenure does not need them.
/// </summary>
internal sealed class DevicePriceReader(DefinitionReader reader, FigureReader figures, string missing, string invalid)
{
    private readonly HashSet<string> _faulty = [];

    public List<CurrencyRate> ReadCurrencies(JsonElement root, string bookCurrency)
    {
        List<CurrencyRate> rates = [];
        foreach ((JsonElement element, string path) in List(root, "currencies"))
        {
            if (!reader.IsObject(element, path, "currency", "rate"))
                continue;
            int before = reader.ErrorCount;
            string currency = reader.Text(element, path, "currency") ?? "";
            if (currency.Length != 3 || !currency.All(char.IsAsciiLetterUpper))
                reader.Add(invalid, $"{path}.currency", "needs an ISO 4217 code such as USD");
            if (currency == bookCurrency || rates.Exists(other => other.Currency == currency))
                reader.Add(invalid, $"{path}.currency", $"'{currency}' is the book's own or an earlier one");
            rates.Add(new CurrencyRate(currency, figures.Read(element, path, "rate", $"{bookCurrency}/{currency}", 1e-9, 1e9)));
            if (reader.ErrorCount > before)
                _faulty.Add(currency);
        }
        return rates;
    }

    /// <summary>Currencies that prices may be in, the book's own first: those whose rate is wrong are none.</summary>
    public string[] Usable(string bookCurrency, IReadOnlyList<CurrencyRate> rates) =>
        [bookCurrency, .. rates.Select(rate => rate.Currency).Where(currency => currency != bookCurrency && !_faulty.Contains(currency))];

    public List<DevicePrice> ReadDevices(JsonElement root, string bookCurrency, IReadOnlyList<CurrencyRate> rates, IReadOnlyList<MachinePrice> machines)
    {
        string[] currencies = Usable(bookCurrency, rates);
        List<DevicePrice> devices = [];
        int place = -1;
        foreach ((JsonElement element, string path) in List(root, "devices"))
        {
            int before = reader.ErrorCount;
            place++;
            if (ReadDevice(element, path, currencies, machines) is not { } device)
                continue;
            if (devices.Exists(other => other.Name == device.Name))
                reader.Add(invalid, $"{path}.name", $"'{device.Name}' is the name of an earlier device as well");
            if (reader.ErrorCount == before)
                devices.Add(device with { Place = place });
        }
        return devices;
    }

    private DevicePrice? ReadDevice(JsonElement element, string path, string[] currencies, IReadOnlyList<MachinePrice> machines)
    {
        reader.IsObject(element, path, "name", "tenure", "host", "note", "hostCores", "purchase", "lifeYears", "hourly", "idleWatts", "fullWatts", "startMinutes");
        if (element.ValueKind != JsonValueKind.Object)
            return null;
        string name = reader.Text(element, path, "name") ?? "";
        string? word = reader.Text(element, path, "tenure");
        if (word is not (null or "rented" or "owned"))
            reader.Add(invalid, $"{path}.tenure", $"'{word}' is neither rented nor owned");
        Tenure tenure = word == "owned" ? Tenure.Owned : Tenure.Rented;
        string host = reader.Text(element, path, "host") ?? "";
        if (host.Length > 0 && machines.All(machine => machine.Name != host))
            reader.Add(invalid, $"{path}.host", $"'{host}' is no machine of this book; there are {string.Join(", ", machines.Select(machine => machine.Name))}");
        PriceFigure idle = figures.Read(element, path, "idleWatts", "W", 0, 100_000);
        PriceFigure full = figures.Read(element, path, "fullWatts", "W", 0, 100_000);
        if (full.Value < idle.Value)
            reader.Add(invalid, $"{path}.fullWatts", $"is {full.Value:R} W, below idle {idle.Value:R} W");
        PriceFigure? purchase = Money(element, path, "purchase", "", currencies, 1e8, isNeeded: tenure == Tenure.Owned);
        PriceFigure? life = purchase is null ? null : figures.Read(element, path, "lifeYears", "years", 0.1, 50);
        return new DevicePrice(
            name, tenure, host, figures.Read(element, path, "hostCores", "cores", 0, 4_096), purchase, life,
            Money(element, path, "hourly", "/h", currencies, 10_000, isNeeded: tenure == Tenure.Rented), idle, full,
            figures.Read(element, path, "startMinutes", "min", 0, 10_000));
    }

    /// <summary>A price in any listed currency: the unit that it names must be one of them.</summary>
    private PriceFigure? Money(JsonElement element, string path, string name, string suffix, string[] currencies, double max, bool isNeeded)
    {
        if (!element.TryGetProperty(name, out JsonElement member))
        {
            if (isNeeded)
                reader.Add(missing, $"{path}.{name}", $"is missing: what is it in {currencies[0]}{suffix}, by which source?");
            return null;
        }
        return figures.Read(element, path, name, MoneyUnit(member, suffix, currencies), 0, max);
    }

    /// <summary>The unit that a price names, where it is one of these currencies; else the first, which it must be in.</summary>
    public static string MoneyUnit(JsonElement figure, string suffix, string[] currencies) =>
        (figure.ValueKind == JsonValueKind.Object && figure.TryGetProperty("unit", out JsonElement given) && given.ValueKind == JsonValueKind.String
            ? currencies.FirstOrDefault(currency => currency + suffix == given.GetString()) : null) is { } named ? named + suffix : currencies[0] + suffix;

    private IEnumerable<(JsonElement Element, string Path)> List(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out JsonElement list))
            return [];
        if (list.ValueKind == JsonValueKind.Array && list.GetArrayLength() <= PriceBook.MachineCountMax)
            return list.EnumerateArray().Select((element, index) => (element, $"$.{name}[{index}]"));
        reader.Add(invalid, $"$.{name}", $"needs a list of at most {PriceBook.MachineCountMax}");
        return [];
    }
}
