using System.Diagnostics.CodeAnalysis;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Costs;

/// <summary>How a figure came about, the worst first.</summary>
public enum FigureBasis : byte
{
    /// <summary>Nobody measured or published it: it is somebody's estimate, and the report says so.</summary>
    Assumed = 0,
    /// <summary>Computed from figures that were published or counted, in the way that its source says.</summary>
    Derived = 1,
    /// <summary>Taken from the named source.</summary>
    Published = 2,
    /// <summary>Measured on the machine it is for.</summary>
    Measured = 3,
}

/// <summary>One figure of a price book: never a number without its unit, origin and date.</summary>
/// <param name="Low">The least it might be; equal to <paramref name="Value"/> where no range is given.</param>
/// <param name="High">The most it might be.</param>
/// <param name="Unit">One of a fixed few, checked by the reader: EUR, EUR/h, EUR/kWh, years, W, 1, µs (the book's currency for EUR).</param>
public readonly record struct PriceFigure(double Value, double Low, double High, string Unit, string Source, DateOnly Date, FigureBasis Basis)
{
    /// <summary>As if its value were known.</summary>
    public PriceFigure Exact() => this with { Low = Value, High = Value };

    /// <summary>As if it were known to be at one end.</summary>
    public PriceFigure At(Scenario end) => (end switch { Scenario.Low => this with { Value = Low }, Scenario.High => this with { Value = High }, _ => this }).Exact();

    /// <summary>The same of what is divided by: the cheap end goes with the most, such as a long life.</summary>
    public PriceFigure Under(Scenario end) => At(end switch { Scenario.Low => Scenario.High, Scenario.High => Scenario.Low, _ => end });
}

/// <summary>Who pays for the machine, and how.</summary>
public enum Tenure : byte
{
    /// <summary>By the hour; the price holds power and cooling.</summary>
    Rented = 0,
    /// <summary>Bought and written off over its life; power is paid on top.</summary>
    Owned = 1,
}

/// <summary>A machine that decisions are made on.</summary>
/// <param name="Idle">Watts of the whole machine with nothing to do.</param>
/// <param name="Full">Watts of the whole machine with every core busy.</param>
/// <param name="Utilisation">Share of the reserved time that cores are busy: at most, where capacity is planned (<see cref="BreakEven"/>, <see cref="FleetPlan"/>); in modelled costs, always. In (0, 1].</param>
/// <param name="CpuMicrosPerDecision">CPU time of one decision, for modelled costs only.</param>
public sealed record MachinePrice(
    string Name, Tenure Tenure, int Cores, PriceFigure Purchase, PriceFigure Life, PriceFigure Hourly,
    PriceFigure Idle, PriceFigure Full, PriceFigure Utilisation, PriceFigure CpuMicrosPerDecision)
{
    /// <summary>Accelerators that go into it, unit 1; null where nobody says.</summary>
    public PriceFigure? Slots { get; init; }

    /// <summary>The price that it is had for: of an hour, or of purchase.</summary>
    public PriceFigure Price => Tenure == Tenure.Rented ? Hourly : Purchase;
}

/// <summary>
/// What machines and power cost, from <c>ops/prices/*.json</c>. Immutable; named by the SHA-256 of the file's bytes, so a
/// cost can be traced to the prices it was made with.
/// </summary>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Power">Price of a kilowatt-hour.</param>
/// <param name="PowerUsageEffectiveness">Power of the site over power of the machines, at least 1.</param>
/// <param name="Machines">At least one; those that stand first are taken where nobody names one (<see cref="DefaultMachine"/>).</param>
public sealed record PriceBook(
    string Name, int Version, string Currency, PriceFigure Power, PriceFigure PowerUsageEffectiveness,
    IReadOnlyList<MachinePrice> Machines, Sha256Digest Digest)
{
    /// <summary>Bytes of a price book.</summary>
    public const int FileSizeMax = 1 << 20;
    /// <summary>Machines of one price book.</summary>
    public const int MachineCountMax = 256;

    /// <summary>Days after which a price is stale where the book does not say: three years.</summary>
    public const int AgeDaysMaxDefault = 1_096;

    /// <summary>Days after which a price is old where the book does not say.</summary>
    public const int AgeDaysOldDefault = 400;

    /// <summary>Prices that are older are <c>PRICE_OLD</c>: used, and every report that uses one says so on its face.</summary>
    public int AgeDaysOld { get; init; } = AgeDaysOldDefault;

    /// <summary>Prices (not watts, not years) that are older are <c>PRICE_STALE</c>, and not used.</summary>
    public int AgeDaysMax { get; init; } = AgeDaysMaxDefault;

    /// <summary>Currencies that prices may be in beside the book's own.</summary>
    public IReadOnlyList<CurrencyRate> Currencies { get; init; } = [];

    /// <summary>Accelerators.</summary>
    public IReadOnlyList<DevicePrice> Devices { get; init; } = [];

    /// <summary>Why there are no prices, with the stable code; null in a book that has some.</summary>
    public string? WhyUnpriced { get; init; }

    /// <summary>
    /// In place of a book that an engine cannot use, so that it decides all the same: a ledger that has it charges nothing, and
    /// every record says so (<see cref="CostLedger.Unpriced"/>). It has one machine, which stands for whichever it is.
    /// </summary>
    /// <param name="why">Begins with the stable code.</param>
    public static PriceBook Unpriced(string why) => new("none", 0, "", Zero, One, [new MachinePrice("", Tenure.Rented, 1, Zero, One, Zero, Zero, Zero, One, Zero)], default) { WhyUnpriced = why };

    private static PriceFigure Zero => One with { Value = 0, Low = 0, High = 0, Unit = "" };

    private static PriceFigure One => new(1, 1, 1, "1", "", default, FigureBasis.Assumed);

    /// <summary>
    /// Reads a price book. On false, <paramref name="errors"/> names everything that is wrong by file and JSON path:
    /// <c>PRICE_MISSING</c> (a figure, or its unit, source, date or basis), <c>PRICE_INVALID</c> (negative, out of its
    /// range, wrong unit, shape), <c>TOO_LARGE</c>.
    /// </summary>
    /// <param name="bytes">The file, UTF-8 JSON.</param>
    /// <param name="file">For the errors: its name.</param>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, string file, ICollection<DefinitionError> errors, [NotNullWhen(true)] out PriceBook? book)
    {
        book = new PriceBookReader(file, errors).Read(bytes);
        return book is not null;
    }

    /// <summary>
    /// The same for an engine, which goes on with the CPU when an accelerator's price is wrong: a device with a fault is left
    /// out, and <paramref name="deviceErrors"/> says why. False only when the machines cannot be priced.
    /// </summary>
    public static bool TryReadForEngine(
        ReadOnlyMemory<byte> bytes, string file, ICollection<DefinitionError> errors, ICollection<DefinitionError> deviceErrors, [NotNullWhen(true)] out PriceBook? book)
    {
        book = new PriceBookReader(file, errors).Read(bytes, deviceErrors);
        return book is not null;
    }

    /// <summary>
    /// A device that may be used today. False leaves one error or more: <c>PRICE_MISSING</c> when the book has no such device
    /// or not for that tenure, <c>PRICE_STALE</c> for each of its prices, and each exchange rate they need, that is too old, <c>PRICE_INVALID</c> for one dated in the future.
    /// </summary>
    /// <param name="tenure">Bought or rented; null for the device's own.</param>
    /// <param name="ageDaysMax">In place of the book's.</param>
    public bool TryDevice(
        string name, Tenure? tenure, DateOnly today, int? ageDaysMax, ICollection<DefinitionError> errors, [NotNullWhen(true)] out DevicePrice? device)
    {
        device = Devices.FirstOrDefault(candidate => candidate.Name == name);
        if (device is null)
        {
            errors.Add(new DefinitionError("PRICE_MISSING", Name, "$.devices", $"has no '{name}'; until its price is there, it gets no work"));
            return false;
        }
        if (!device.CanBe(tenure ?? device.Tenure))
        {
            errors.Add(new DefinitionError("PRICE_MISSING", Name, PathOf(device), $"{name} has no {(tenure == Tenure.Owned ? "purchase price" : "hourly price")}"));
            device = null;
            return false;
        }
        int before = errors.Count;
        foreach ((string path, PriceFigure figure) in PricesOf(device, tenure ?? device.Tenure))
            RequireFresh(figure, path, today, ageDaysMax, errors);
        if (errors.Count == before)
            return true;
        device = null;
        return false;
    }

    /// <summary>Adds <c>PRICE_STALE</c> for the price of power and of a machine's hours where they are too old, <c>PRICE_INVALID</c> where they are of the future. An engine says so and goes on with them; whoever compares does not.</summary>
    public void RequireFreshMachine(MachinePrice machine, DateOnly today, int? ageDaysMax, ICollection<DefinitionError> errors)
    {
        foreach ((string path, PriceFigure figure) in PricesOf(machine))
            RequireFresh(figure, path, today, ageDaysMax, errors);
    }

    /// <summary>The prices that a device is had for: of an hour or of purchase, and the exchange rate that it needs; each with its JSON path.</summary>
    public IEnumerable<(string Path, PriceFigure Figure)> PricesOf(DevicePrice device, Tenure tenure)
    {
        PriceFigure price = tenure == Tenure.Owned ? device.Purchase!.Value : device.Hourly!.Value;
        yield return ($"{PathOf(device)}.{(tenure == Tenure.Owned ? "purchase" : "hourly")}", price);
        if (RateOf(price) is { } rate)
            yield return ($"$.currencies[{Currencies.ToList().IndexOf(rate)}].rate", rate.Rate);
    }

    /// <summary>Where a device stands in the file.</summary>
    internal string PathOf(DevicePrice device) => $"$.devices[{device.Place ?? Devices.ToList().IndexOf(device)}]";

    /// <summary>The same of a machine; bought, the price of power with it. Its own price stands first.</summary>
    public IEnumerable<(string Path, PriceFigure Figure)> PricesOf(MachinePrice machine)
    {
        string path = $"$.machines[{Machines.ToList().FindIndex(candidate => candidate.Name == machine.Name)}]";
        yield return ($"{path}.{(machine.Tenure == Tenure.Rented ? "hourly" : "purchase")}", machine.Price);
        if (RateOf(machine.Price) is { } rate)
            yield return ($"$.currencies[{Currencies.ToList().IndexOf(rate)}].rate", rate.Rate);
        if (machine.Tenure == Tenure.Owned)
            yield return ("$.power", Power);
    }

    /// <summary>Older than <see cref="AgeDaysOld"/>, stale or not.</summary>
    public bool IsOld(in PriceFigure figure, DateOnly today) => today.DayNumber - figure.Date.DayNumber > AgeDaysOld;

    /// <summary><c>PRICE_OLD</c> for each of these prices that is: a warning, not an error.</summary>
    public IEnumerable<DefinitionError> Old(IEnumerable<(string Path, PriceFigure Figure)> prices, DateOnly today) =>
        from price in prices
        where IsOld(price.Figure, today)
        select new DefinitionError("PRICE_OLD", Name, price.Path, $"is a price of {price.Figure.Date:yyyy-MM}, {today.DayNumber - price.Figure.Date.DayNumber} days old: look it up again; it is used until {AgeDaysMax} days");

    /// <summary>A price in the book's currency, low and high ends of price and rate taken together.</summary>
    public Estimate InCurrency(in PriceFigure price) =>
        RateOf(price) is { } rate ? Estimate.Of(price) * Estimate.Of(rate.Rate) : Estimate.Of(price);

    /// <summary>
    /// The same with power, its site and one machine at their values, without ranges: in a comparison in which both sides are
    /// in such a machine, it would be dear for one and cheap for the other.
    /// </summary>
    public PriceBook Sharing(string machine) => this with
    {
        Power = Power.Exact(),
        PowerUsageEffectiveness = PowerUsageEffectiveness.Exact(),
        Machines =
        [
            .. Machines.Select(m => m.Name != machine ? m : m with
            {
                Purchase = m.Purchase.Exact(), Life = m.Life.Exact(), Hourly = m.Hourly.Exact(), Idle = m.Idle.Exact(), Full = m.Full.Exact(), Slots = m.Slots?.Exact(),
            }),
        ],
    };

    /// <summary>
    /// The same with the exchange rate of a price at its value: in a comparison of prices in one currency, the euro would be
    /// dear for one and cheap for the other.
    /// </summary>
    public PriceBook SharingRateOf(PriceFigure price) => RateOf(price) is not { } shared ? this : this with
    {
        Currencies = [.. Currencies.Select(rate => rate == shared ? rate with { Rate = rate.Rate.Exact() } : rate)],
    };

    /// <summary>
    /// The same as if every figure were known to be at one end: at the low one whatever is paid at its least, and what it is
    /// divided by at its most. What is made of it at its values is what is made of this book at that end.
    /// </summary>
    public PriceBook At(Scenario end) => this with
    {
        Power = Power.At(end),
        PowerUsageEffectiveness = PowerUsageEffectiveness.At(end),
        Currencies = [.. Currencies.Select(rate => rate with { Rate = rate.Rate.At(end) })],
        Machines =
        [
            .. Machines.Select(m => m with
            {
                Purchase = m.Purchase.At(end), Life = m.Life.Under(end), Hourly = m.Hourly.At(end), Idle = m.Idle.At(end), Full = m.Full.At(end), Slots = m.Slots?.Under(end),
            }),
        ],
        Devices =
        [
            .. Devices.Select(d => d with
            {
                Place = d.Place ?? Devices.ToList().IndexOf(d), HostCores = d.HostCores.At(end), Purchase = d.Purchase?.At(end), Life = d.Life?.Under(end), Hourly = d.Hourly?.At(end),
                Idle = d.Idle.At(end), Full = d.Full.At(end), Start = d.Start.At(end),
            }),
        ],
    };

    /// <summary>The rate that a price needs; null when it is in the book's currency.</summary>
    public CurrencyRate? RateOf(in PriceFigure price)
    {
        // A book without prices has no units either.
        string currency = price.Unit is { } unit ? unit.Split('/')[0] : Currency;
        return currency == Currency ? null : Currencies.FirstOrDefault(rate => rate.Currency == currency);
    }

    private void RequireFresh(in PriceFigure figure, string path, DateOnly today, int? ageDaysMax, ICollection<DefinitionError> errors)
    {
        int age = today.DayNumber - figure.Date.DayNumber, max = ageDaysMax ?? AgeDaysMax;
        // A day of grace: it is tomorrow already further east.
        if (age < -1)
            errors.Add(new DefinitionError("PRICE_INVALID", Name, path, $"is of {figure.Date:yyyy-MM-dd}, which is still to come: nobody can have looked it up; correct its date"));
        if (age > max)
            errors.Add(new DefinitionError("PRICE_STALE", Name, path, $"is of {figure.Date:yyyy-MM-dd}, {age} days old, and {max} are allowed: look it up again, or raise ageDaysMax"));
    }

    /// <summary>
    /// The machine that is taken where nobody names one: the first of the book, or of those that are had in this way. So the
    /// book's own order says which, to the ledger and to whoever compares.
    /// </summary>
    /// <param name="tenure">Null for either.</param>
    /// <returns>Null when none is had in this way; never for either.</returns>
    public MachinePrice? DefaultMachine(Tenure? tenure = null) => Machines.FirstOrDefault(machine => tenure is null || machine.Tenure == tenure);

    public bool TryMachine(string name, [NotNullWhen(true)] out MachinePrice? machine)
    {
        machine = Machines.FirstOrDefault(candidate => candidate.Name == name);
        return machine is not null;
    }
}
