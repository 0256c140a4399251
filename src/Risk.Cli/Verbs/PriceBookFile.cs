using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Decisions;

namespace Risk.Cli.Verbs;

/// <summary>The price book that ships: <c>ops/prices/default.json</c>, and the machine that it takes where nobody names one.</summary>
internal static class PriceBookFile
{
    /// <param name="note">Told of each accelerator's price that is wrong: that device is left out, the CPU goes on.</param>
    public static (PriceBook Book, MachinePrice Machine) LoadDefault(Action<string>? note = null)
    {
        string path = Path.Combine(RiskHome.Find(), "ops", "prices", "default.json");
        var errors = new List<DefinitionError>();
        var deviceErrors = new List<DefinitionError>();
        if (!File.Exists(path)) { throw CommandFailure.BadInput("PRICE_MISSING", $"{path} does not exist"); }
        if (!PriceBook.TryReadForEngine(File.ReadAllBytes(path), "ops/prices/default.json", errors, deviceErrors, out PriceBook? book))
        {
            throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);
        }
        deviceErrors.ForEach(e => note?.Invoke($"{e.Code}: {e.File} {e.Path}: {e.Sentence}; the accelerator is left out"));
        return (book, book.DefaultMachine()!);
    }
}
