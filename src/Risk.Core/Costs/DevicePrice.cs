namespace Risk.Core.Costs;

/// <summary>What one accelerator costs; the device profile of the same name says what it can do.</summary>
/// <param name="Tenure">How it is paid for where nobody asks for the other way.</param>
/// <param name="Host">The machine of the book whose cores feed it.</param>
/// <param name="HostCores">Cores of that machine that are kept for it, unit cores. Rented, they are in the hourly price.</param>
/// <param name="Purchase">In the book's or a listed currency; null for what cannot be bought.</param>
/// <param name="Life">Years it is written off over; null with <paramref name="Purchase"/>.</param>
/// <param name="Hourly">Of the device and its share of the host; null for what nobody rents out.</param>
/// <param name="Idle">Watts of the device with nothing to do.</param>
/// <param name="Full">Watts of the device while it computes.</param>
/// <param name="Start">From switching on to the first batch, minutes; paid and of no use.</param>
public sealed record DevicePrice(
    string Name, Tenure Tenure, string Host, PriceFigure HostCores, PriceFigure? Purchase, PriceFigure? Life, PriceFigure? Hourly,
    PriceFigure Idle, PriceFigure Full, PriceFigure Start)
{
    /// <summary>Place among the devices of the file, of which some may have been left out; null where no file was read.</summary>
    public int? Place { get; init; }

    public bool CanBe(Tenure tenure) => tenure == Tenure.Owned ? Purchase is not null : Hourly is not null;
}

/// <summary>What one unit of another currency is worth.</summary>
/// <param name="Rate">Unit e.g. EUR/USD: euros for a dollar.</param>
public sealed record CurrencyRate(string Currency, PriceFigure Rate);
