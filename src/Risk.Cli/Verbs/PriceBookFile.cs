using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Decisions;

namespace Risk.Cli.Verbs;

/// <summary>The price book that ships: <c>ops/prices/default.json</c>, its first machine.</summary>
internal static class PriceBookFile
{
    public static (PriceBook Book, MachinePrice Machine) LoadDefault()
    {
        string path = Path.Combine(RiskHome.Find(), "ops", "prices", "default.json");
        var errors = new List<DefinitionError>();
        if (!File.Exists(path)) { throw CommandFailure.BadInput("PRICE_MISSING", $"{path} does not exist"); }
        if (!PriceBook.TryRead(File.ReadAllBytes(path), "ops/prices/default.json", errors, out PriceBook? book))
        {
            throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);
        }
        return (book, book.Machines[0]);
    }
}
