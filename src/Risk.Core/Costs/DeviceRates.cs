using System.Globalization;

namespace Risk.Core.Costs;

/// <summary>One line of arithmetic, so that a result can be followed back to the figures of the book.</summary>
/// <param name="What">What comes out: <c>amortisation</c>.</param>
/// <param name="Arithmetic">With its numbers: <c>15000 USD × 0.9048 EUR/USD ÷ (4 years × 8766 h)</c>.</param>
/// <param name="Paths">JSON paths of the figures in the price book.</param>
public sealed record CostLine(string What, string Arithmetic, Estimate Result, string Unit, IReadOnlyList<string> Paths);

/// <summary>The cores of a host that feed an accelerator.</summary>
/// <param name="Core">One of them.</param>
/// <param name="Cores">Kept for each device that is on.</param>
/// <param name="IsInPrice">They are in the rent of the device, their power too.</param>
public sealed record HostShare(DeviceRates Core, Estimate Cores, bool IsInPrice)
{
    /// <summary>Machines are had whole, with so many cores each; 0 where the rest of a machine does other work.</summary>
    public int CoresPerMachine { get; init; }

    /// <summary>Devices that go into one machine, where a device is not rented with its host.</summary>
    public Estimate Slots { get; init; } = Estimate.Of(double.PositiveInfinity);

    /// <summary>Machines that so many devices must be put into.</summary>
    public double MachinesFor(double devices, Scenario scenario) =>
        // More slots are the cheaper end.
        Math.Ceiling(devices / (scenario switch { Scenario.Low => Slots.High, Scenario.High => Slots.Low, _ => Slots.Value }));

    /// <summary>Cores that are paid beyond those kept.</summary>
    /// <param name="beyond">Of them, what is needed.</param>
    internal double More(double kept, double beyond, double devices, Scenario scenario)
    {
        if (CoresPerMachine == 0)
            return beyond;
        if (IsInPrice)
            return Math.Ceiling((beyond / CoresPerMachine) - 1e-9) * CoresPerMachine;
        double machines = Math.Max(Math.Ceiling(((kept + beyond) / CoresPerMachine) - 1e-9), Math.Max(1, MachinesFor(devices, scenario)));
        return (machines * CoresPerMachine) - kept;
    }
}

/// <summary>
/// What a device costs by the hour, in the book's currency, made from the figures of a price book; and how, line by line.
/// <para>Rented, an hour costs its price, host and power included, whether anything runs or not. Owned, the purchase is
/// written off over its life (whether it is on or not), idle watts are paid while it is on, the watts above them while it
/// computes, and the host's cores that are kept for it are paid like any others.</para>
/// </summary>
public sealed class DeviceRates
{
    /// <summary>Hours of a year, leap days included.</summary>
    public const double HoursPerYear = 365.25 * 24;

    private readonly List<CostLine> _lines = [];

    private DeviceRates(string name, Tenure tenure, string currency)
    {
        Name = name;
        Tenure = tenure;
        Currency = currency;
    }

    public string Name { get; }
    public Tenure Tenure { get; }
    public string Currency { get; }

    /// <summary>While it is on, idle or not; the idle cores that the host keeps for it are in it.</summary>
    public Estimate OnPerHour { get; private set; }

    /// <summary>While it is off: the amortisation of what is owned; rented, nothing.</summary>
    public Estimate OffPerHour { get; private set; }

    /// <summary>On top of <see cref="OnPerHour"/> for the time that it computes.</summary>
    public Estimate BusyPerHour { get; private set; }

    /// <summary>Watts at the site's meter while on and idle.</summary>
    public Estimate IdleWatts { get; private set; }

    /// <summary>Watts at the site's meter while it computes.</summary>
    public Estimate FullWatts { get; private set; }

    /// <summary>Power of the site over power of the machines; in the watts already, for energy that a counter gives at the device.</summary>
    public Estimate PowerUsageEffectiveness { get; private set; }

    /// <summary>From switching on to the first batch.</summary>
    public Estimate StartMinutes { get; private set; }

    /// <summary>Whose cores feed it; null for a core. What they do is not in <see cref="BusyPerHour"/> and the watts.</summary>
    public HostShare? Host { get; private set; }

    /// <summary>How the rates were made, in order.</summary>
    public IReadOnlyList<CostLine> Lines => _lines;

    /// <summary>An accelerator with its share of the host.</summary>
    /// <param name="device">One of the book's; it must be possible to have it so (<see cref="DevicePrice.CanBe"/>).</param>
    /// <param name="machine">Whose cores feed it, one of the book's in either tenure; null for the one that the book names.</param>
    /// <param name="isWhole">Machines are had whole and do nothing else.</param>
    public static DeviceRates OfDevice(PriceBook book, DevicePrice device, Tenure tenure, MachinePrice? machine = null, bool isWhole = false)
    {
        string path = book.PathOf(device);
        DeviceRates rates = new(device.Name, tenure, book.Currency) { StartMinutes = Estimate.Of(device.Start) };
        rates.SetWatts(book, device.Idle, device.Full, 1, path);
        MachinePrice host = machine ?? book.Machines.First(candidate => candidate.Name == device.Host);
        DeviceRates core = OfCore(book, host);
        Estimate cores = Estimate.Of(device.HostCores);
        rates.Host = new HostShare(core, cores, IsInPrice: tenure == Tenure.Rented) { CoresPerMachine = isWhole ? host.Cores : 0 };
        if (tenure == Tenure.Owned && host.Slots is { } slots)
        {
            rates.Host = rates.Host with { Slots = Estimate.Of(slots) };
            if (isWhole)
                rates.Add("in one machine", $"at most {Number(slots.Value)}", Estimate.Of(slots), "devices", $"$.machines[{book.Machines.ToList().FindIndex(candidate => candidate.Name == host.Name)}].slots");
        }
        rates._lines.AddRange(core._lines.Select(line => line with { What = $"a core of {host.Name}: {line.What}" }));
        if (tenure == Tenure.Rented)
        {
            rates.OnPerHour = rates.Rent(book, device.Hourly!.Value, 1, $"{path}.hourly");
            rates.Add("host", $"{Number(device.HostCores.Value)} cores of {host.Name}, in the rent; their power counts as energy", cores, "cores", $"{path}.hostCores");
            return rates;
        }
        Estimate written = rates.Amortise(book, device.Purchase!.Value, device.Life!.Value, 1, path);
        Estimate hostPerHour = core.OnPerHour * cores;
        rates.Add("host", $"{Number(device.HostCores.Value)} cores × {Number(core.OnPerHour.Value)} {book.Currency}/h (a core of {host.Name})", hostPerHour, $"{book.Currency}/h", $"{path}.hostCores");
        rates.OffPerHour = written;
        Estimate idlePower = rates.Power(book, "idle power", rates.IdleWatts);
        rates.OnPerHour = written + idlePower + hostPerHour;
        rates.Add("an hour switched on", $"{Number(written.Value)} + {Number(hostPerHour.Value)} + {Number(idlePower.Value)} {book.Currency}/h", rates.OnPerHour, $"{book.Currency}/h");
        rates.BusyPerHour = rates.Power(book, "power while computing, above idle", Estimate.Between(rates.IdleWatts, rates.FullWatts));
        return rates;
    }

    /// <summary>
    /// An accelerator alone, for an engine that meters the cores of its machine itself: they must not be paid twice. Owned, the
    /// host is left out; rented, where the price holds it, the host's cores are taken off.
    /// </summary>
    /// <param name="device">One of the book's; it must be possible to have it so (<see cref="DevicePrice.CanBe"/>).</param>
    public static DeviceRates OfCard(PriceBook book, DevicePrice device, Tenure tenure)
    {
        DeviceRates rates = OfDevice(book, device, tenure);
        Estimate host = OfCore(book, book.Machines.First(machine => machine.Name == device.Host)).OnPerHour * Estimate.Of(device.HostCores);
        // What it costs while off is the card's alone already.
        Estimate alone = Estimate.Between(host, rates.OnPerHour);
        rates.Add("the host's cores are metered by themselves", $"{Number(rates.OnPerHour.Value)} − {Number(host.Value)} {book.Currency}/h", alone, $"{book.Currency}/h", $"{book.PathOf(device)}.hostCores");
        rates.OnPerHour = alone;
        rates.Host = null;
        return rates;
    }

    /// <summary>One core of a machine, as its share of everything the machine costs.</summary>
    public static DeviceRates OfCore(PriceBook book, MachinePrice machine)
    {
        // By name: it may be had otherwise than the book has it.
        string path = $"$.machines[{book.Machines.ToList().FindIndex(candidate => candidate.Name == machine.Name)}]";
        DeviceRates rates = new($"{machine.Name}, one core", machine.Tenure, book.Currency) { StartMinutes = Estimate.Of(1) };
        rates.SetWatts(book, machine.Idle, machine.Full, machine.Cores, path);
        if (machine.Tenure == Tenure.Rented)
        {
            rates.OnPerHour = rates.Rent(book, machine.Hourly, machine.Cores, $"{path}.hourly");
            return rates;
        }
        Estimate written = rates.Amortise(book, machine.Purchase, machine.Life, machine.Cores, path);
        rates.OffPerHour = written;
        Estimate idlePower = rates.Power(book, "idle power", rates.IdleWatts);
        rates.OnPerHour = written + idlePower;
        rates.Add("an hour of a core", $"{Number(written.Value)} + {Number(idlePower.Value)} {book.Currency}/h", rates.OnPerHour, $"{book.Currency}/h");
        rates.BusyPerHour = rates.Power(book, "power while computing, above idle", Estimate.Between(rates.IdleWatts, rates.FullWatts));
        return rates;
    }

    private void SetWatts(PriceBook book, in PriceFigure idle, in PriceFigure full, int parts, string path)
    {
        PowerUsageEffectiveness = Estimate.Of(book.PowerUsageEffectiveness);
        Estimate site = PowerUsageEffectiveness * (1.0 / parts);
        string share = parts == 1 ? "" : $" ÷ {parts} cores";
        IdleWatts = Estimate.Of(idle) * site;
        Add("idle watts at the meter", $"{Number(idle.Value)} W × PUE {Number(book.PowerUsageEffectiveness.Value)}{share}", IdleWatts, "W", $"{path}.idleWatts", "$.pue");
        FullWatts = Estimate.Of(full) * site;
        Add("full watts at the meter", $"{Number(full.Value)} W × PUE {Number(book.PowerUsageEffectiveness.Value)}{share}", FullWatts, "W", $"{path}.fullWatts", "$.pue");
    }

    private Estimate Rent(PriceBook book, in PriceFigure hourly, int parts, string path)
    {
        Estimate rent = book.InCurrency(hourly) * (1.0 / parts);
        Add(parts == 1 ? "an hour, rented" : "an hour of a core, rented", $"{Number(hourly.Value)} {hourly.Unit}{Rate(book, hourly)}{(parts == 1 ? "" : $" ÷ {parts} cores")}", rent, $"{book.Currency}/h", [path, .. RatePath(book, hourly)]);
        return rent;
    }

    private Estimate Amortise(PriceBook book, in PriceFigure purchase, in PriceFigure life, int parts, string path)
    {
        // A long life goes with the low end, a short one with the high end.
        Estimate written = book.InCurrency(purchase) / (Estimate.Of(life) * (HoursPerYear * parts));
        Add("amortisation", $"{Number(purchase.Value)} {purchase.Unit}{Rate(book, purchase)} ÷ ({Number(life.Value)} years × {HoursPerYear:0} h){(parts == 1 ? "" : $" ÷ {parts} cores")}", written, $"{book.Currency}/h",
            [$"{path}.purchase", $"{path}.lifeYears", .. RatePath(book, purchase)]);
        return written;
    }

    private Estimate Power(PriceBook book, string what, Estimate watts)
    {
        Estimate cost = watts * Estimate.Of(book.Power) * 1e-3;
        Add(what, $"{Number(watts.Value)} W ÷ 1000 × {Number(book.Power.Value)} {book.Power.Unit}", cost, $"{book.Currency}/h", "$.power");
        return cost;
    }

    private void Add(string what, string arithmetic, Estimate result, string unit, params IReadOnlyList<string> paths) => _lines.Add(new CostLine(what, arithmetic, result, unit, paths));

    private static string Rate(PriceBook book, in PriceFigure price) => book.RateOf(price) is { } rate ? $" × {Number(rate.Rate.Value)} {rate.Rate.Unit}" : "";

    private static string[] RatePath(PriceBook book, in PriceFigure price) =>
        book.RateOf(price) is { } rate ? [$"$.currencies[{book.Currencies.ToList().IndexOf(rate)}].rate"] : [];

    private static string Number(double value) => value.ToString(Math.Abs(value) >= 1 ? "0.#####" : "G6", CultureInfo.InvariantCulture);
}
