using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>
/// The watts of a device that was measured, from the best that is there: its counter, what was said on the command line, the
/// price book's or the data sheet's figures of the device of that name; of a processor, the share that one core has in the
/// price book's machine.
/// </summary>
/// <param name="Power">Null where nothing at all is known; joules are left out then rather than made up.</param>
/// <param name="Note">Where the joules come from, in one sentence.</param>
internal sealed record MeasuredPower(DevicePower? Power, string Note)
{
    public static MeasuredPower OfCounter(EnergyCounter counter, double idle, double busy, DateOnly day)
    {
        PriceFigure Figure(double watts, string how) => new(Math.Round(watts, 1), Math.Round(watts, 1), Math.Round(watts, 1), "W", $"{counter.What}, {how}", day, FigureBasis.Measured);
        return new(new DevicePower(Figure(idle, "nothing to do"), Figure(Math.Max(idle, busy), "largest batches one after the other"), counter.Method), $"Joules: {counter.What}.");
    }

    /// <param name="watts">The least (idle) and the most that it draws.</param>
    public static MeasuredPower OfWatts(double[] watts, DateOnly day)
    {
        PriceFigure Figure(double value, double low) => new(value, low, watts[1], "W", "given with --watts", day, FigureBasis.Assumed);
        return new(
            new DevicePower(Figure(watts[0], watts[0]) with { High = watts[0] }, Figure(watts[1], watts[0]), EnergyMethod.Model),
            "No counter of joules could be read; joules are the stated model: time × watts as given with --watts, low and high.");
    }

    /// <summary>Without a counter, and without watts that were given.</summary>
    /// <param name="name">The profile's.</param>
    public static MeasuredPower Known(string name, bool isProcessor, PriceBook book, MachinePrice machine)
    {
        if (isProcessor)
        {
            // One thread scores: the watts of one core's share, idle and busy.
            PriceFigure Share(PriceFigure figure) => figure with
            {
                Value = figure.Value / machine.Cores, Low = figure.Low / machine.Cores, High = figure.High / machine.Cores,
                Source = $"one of the {machine.Cores} cores of {machine.Name} in price book {book.Name} {book.Version}: {figure.Source}",
            };
            return new(new DevicePower(Share(machine.Idle), Share(machine.Full), EnergyMethod.Model), Modelled($"price book {book.Name} {book.Version}, a core of {machine.Name}"));
        }
        if (book.Devices.FirstOrDefault(device => device.Name == name) is { } price)
        {
            PriceFigure Of(PriceFigure figure) => figure with { Source = $"price book {book.Name} {book.Version}, {name}: {figure.Source}" };
            return new(new DevicePower(Of(price.Idle), Of(price.Full), EnergyMethod.Model), Modelled($"price book {book.Name} {book.Version}, {name}"));
        }
        if (ProfileFile.Find(name, _ => { }) is { Sheet: not null, Power: { } sheet })
        {
            return new(sheet with { Method = EnergyMethod.Model }, Modelled($"the data sheet in ops/profiles/{name}.json"));
        }
        return new(null, $"Without joules: no counter can be read here, and neither the price book nor a data sheet says the watts of '{name}'. --watts LOW HIGH gives them, --as NAME the name under which they are known.");
    }

    private static string Modelled(string source) => $"No counter of joules could be read; joules are the stated model: time × watts with low and high, {source}.";
}
