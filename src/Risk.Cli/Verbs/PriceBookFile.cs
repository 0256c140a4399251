using System.CommandLine;
using System.Diagnostics.CodeAnalysis;
using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Decisions;

namespace Risk.Cli.Verbs;

/// <summary>A price book's file, <c>ops/prices/default.json</c> where nobody names one, and the machine of it that an engine runs on.</summary>
internal static class PriceBookFile
{
    public static readonly Option<string?> Prices = new("--prices") { Description = "The price book; ops/prices/default.json when left out.", HelpName = "FILE" };

    /// <summary><c>--machine NAME</c>.</summary>
    public static Option<string?> Machine(string description) => new("--machine") { Description = description, HelpName = "NAME" };

    public static string PathOf(string? file) => file ?? Path.Combine(RiskHome.Find(), "ops", "prices", "default.json");

    /// <summary>Reads a book. On false, <paramref name="errors"/> says why: <c>PRICE_MISSING</c> where the file cannot be read, or what is wrong in it.</summary>
    /// <param name="file">Null for the shipped one.</param>
    /// <param name="deviceErrors">Accelerators that are left out because their prices are wrong.</param>
    public static bool TryRead(string? file, ICollection<DefinitionError> errors, ICollection<DefinitionError> deviceErrors, [NotNullWhen(true)] out PriceBook? book)
    {
        string path = PathOf(file), name = file is null ? "ops/prices/default.json" : Path.GetFileName(path);
        try
        {
            return PriceBook.TryReadForEngine(File.ReadAllBytes(path), name, errors, deviceErrors, out book);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            errors.Add(new DefinitionError("PRICE_MISSING", path, "$", e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : $"it cannot be read: {e.Message}"));
            book = null;
            return false;
        }
    }

    /// <summary>
    /// What an engine charges by. A price never keeps one from deciding: where the book or its machine cannot be used, decisions
    /// carry no cost. What is wrong or old is told with its code.
    /// </summary>
    /// <param name="file">Null for the shipped one.</param>
    /// <param name="machine">Null for the book's first.</param>
    public static EnginePrices ForEngine(string? file, string? machine)
    {
        List<DefinitionError> errors = [], deviceErrors = [];
        DateOnly today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        MachinePrice? found = null;
        if (TryRead(file, errors, deviceErrors, out PriceBook? book) && (found = machine is null ? book.DefaultMachine() : book.TryMachine(machine, out MachinePrice? named) ? named : null) is null)
        {
            errors.Add(UnknownMachine(file, book, machine!));
        }
        if (book is null || found is null)
        {
            PriceBook unpriced = PriceBook.Unpriced($"{errors[0].Code}: {Sentence(errors[0])}");
            return new EnginePrices(unpriced, unpriced.DefaultMachine()!, [.. errors.Concat(deviceErrors).Select(e => (e.Code, $"{Sentence(e)}; decisions are made and carry no cost (method unpriced) until it is mended and the engine started again"))]);
        }
        List<DefinitionError> stale = [];
        book.RequireFreshMachine(found, today, null, stale);
        return new EnginePrices(book, found,
        [
            .. deviceErrors.Select(e => (e.Code, $"{Sentence(e)}; the accelerator is left out")),
            .. stale.Select(e => (e.Code, $"{Sentence(e)}; decisions go on at this price")),
            // What is stale is old as well: one word for it is enough.
            .. book.Old(book.PricesOf(found), today).Where(e => stale.TrueForAll(s => s.Path != e.Path)).Select(e => (e.Code, Sentence(e))),
        ]);
    }

    /// <summary>The shipped book and its first machine, for verbs that cannot do without.</summary>
    /// <param name="note">Told of each accelerator's price that is wrong: that device is left out, the CPU goes on.</param>
    /// <exception cref="CommandFailure">It cannot be read.</exception>
    public static (PriceBook Book, MachinePrice Machine) LoadDefault(Action<string>? note = null)
    {
        List<DefinitionError> errors = [], deviceErrors = [];
        if (!TryRead(null, errors, deviceErrors, out PriceBook? book)) { throw Failure(errors); }
        deviceErrors.ForEach(e => note?.Invoke($"{e.Code}: {Sentence(e)}; the accelerator is left out"));
        return (book, book.DefaultMachine()!);
    }

    public static DefinitionError UnknownMachine(string? file, PriceBook book, string machine) =>
        new("PRICE_MISSING", PathOf(file), "$.machines", $"has no '{machine}'; there are {string.Join(", ", book.Machines.Select(m => m.Name))}");

    public static CommandFailure Failure(IEnumerable<DefinitionError> errors) => new(ExitCode.BadInput, [.. errors.Select(e => (e.Code, Sentence(e)))]);

    public static string Sentence(DefinitionError error) => $"{error.File} {error.Path}: {error.Sentence}";
}

/// <summary>What an engine charges by.</summary>
/// <param name="Machine">Of the book.</param>
/// <param name="Told">What is wrong with prices, or old: code and sentence.</param>
internal sealed record EnginePrices(PriceBook Book, MachinePrice Machine, IReadOnlyList<(string Code, string Sentence)> Told);
