using System.Diagnostics.CodeAnalysis;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Costs;

/// <summary>How a figure came about.</summary>
public enum FigureBasis : byte
{
    /// <summary>Nobody measured or published it: it is somebody's estimate, and the report says so.</summary>
    Assumed = 0,
    /// <summary>Taken from the named source.</summary>
    Published = 1,
    /// <summary>Measured on the machine it is for.</summary>
    Measured = 2,
}

/// <summary>One figure of a price book: never a number without its unit, origin and date.</summary>
/// <param name="Low">The least it might be; equal to <paramref name="Value"/> where no range is given.</param>
/// <param name="High">The most it might be.</param>
/// <param name="Unit">One of a fixed few, checked by the reader: EUR, EUR/h, EUR/kWh, years, W, 1, µs (the book's currency for EUR).</param>
public readonly record struct PriceFigure(double Value, double Low, double High, string Unit, string Source, DateOnly Date, FigureBasis Basis);

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
/// <param name="Utilisation">Share of the reserved time that cores are busy, for modelled costs only; in (0, 1].</param>
/// <param name="CpuMicrosPerDecision">CPU time of one decision, for modelled costs only.</param>
public sealed record MachinePrice(
    string Name, Tenure Tenure, int Cores, PriceFigure Purchase, PriceFigure Life, PriceFigure Hourly,
    PriceFigure Idle, PriceFigure Full, PriceFigure Utilisation, PriceFigure CpuMicrosPerDecision);

/// <summary>
/// What machines and power cost, from <c>ops/prices/*.json</c>. Immutable; named by the SHA-256 of the file's bytes, so a
/// cost can be traced to the prices it was made with.
/// </summary>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Power">Price of a kilowatt-hour.</param>
/// <param name="PowerUsageEffectiveness">Power of the site over power of the machines, at least 1.</param>
public sealed record PriceBook(
    string Name, int Version, string Currency, PriceFigure Power, PriceFigure PowerUsageEffectiveness,
    IReadOnlyList<MachinePrice> Machines, Sha256Digest Digest)
{
    /// <summary>Bytes of a price book.</summary>
    public const int FileSizeMax = 1 << 20;
    /// <summary>Machines of one price book.</summary>
    public const int MachineCountMax = 256;

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

    public bool TryMachine(string name, [NotNullWhen(true)] out MachinePrice? machine)
    {
        machine = Machines.FirstOrDefault(candidate => candidate.Name == name);
        return machine is not null;
    }
}
