using System.CommandLine;
using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>
/// What the cost verbs calculate with: a price book, device profiles and the models' workloads, from <c>ops/</c> or from where
/// the options say. A device whose price or profile is missing, wrong or stale is left out with its coded error; the
/// calculation goes on with the others, as the engine does.
/// </summary>
internal sealed class CostInputs
{
    public static readonly Option<string?> Prices = new("--prices") { Description = "The price book; ops/prices/default.json when left out.", HelpName = "FILE" };
    public static readonly Option<string?> Profiles = new("--profiles") { Description = "The folder of device profiles; ops/profiles when left out.", HelpName = "DIR" };
    public static readonly Option<int?> AgeMax = new("--price-age-max") { Description = "Days after which a price is stale; the book's ageDaysMax when left out.", HelpName = "DAYS" };
    public static readonly Option<string> Model = new("--model") { Description = "The model that is scored with.", HelpName = "NAME@VERSION", DefaultValueFactory = _ => "card-fraud@1" };
    public static readonly Option<string?> Machine = new("--machine") { Description = "The price book's machine that the CPU's cores belong to; its first when left out.", HelpName = "NAME" };
    public static readonly Option<string?> Cpu = new("--cpu") { Description = "The CPU's profile; of those that were measured with the model, the one with the least time a row when left out.", HelpName = "NAME" };

    private readonly Output _output;
    private readonly List<DeviceProfile> _profiles = [];
    private readonly IReadOnlyList<ModelWorkload> _workloads;
    private readonly DateOnly _today = DateOnly.FromDateTime(DateTime.UtcNow);
    private readonly int? _ageDaysMax;
    private readonly string _model;
    private readonly string _version;

    public CostInputs(VerbContext context)
    {
        _output = context.Output;
        _ageDaysMax = context.Get(AgeMax);
        string[] reference = context.Get(Model)!.Split('@');
        if (reference.Length != 2)
        {
            throw CommandFailure.BadInput("USAGE", $"--model {context.Get(Model)} is not NAME@VERSION.");
        }

        (_model, _version) = (reference[0], reference[1]);
        string file = context.Get(Prices) ?? Path.Combine(RiskHome.Find(), "ops", "prices", "default.json");
        List<DefinitionError> errors = [], deviceErrors = [];
        if (!PriceBook.TryReadForEngine(ReadFile(file, "PRICE_MISSING"), Path.GetFileName(file), errors, deviceErrors, out PriceBook? book))
        {
            throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(Line)]);
        }

        Book = book;
        BookFile = file;
        deviceErrors.ForEach(Say);
        string machine = context.Get(Machine) ?? book.Machines[0].Name;
        CpuMachine = book.TryMachine(machine, out MachinePrice? found) ? found : throw CommandFailure.BadInput("PRICE_MISSING", $"{file} has no machine '{machine}'; there are {string.Join(", ", book.Machines.Select(m => m.Name))}.");
        book.RequireFreshMachine(CpuMachine, _today, _ageDaysMax, errors);
        if (errors.Count > 0)
        {
            throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(Line)]);
        }

        string folder = context.Get(Profiles) ?? Path.Combine(RiskHome.Find(), "ops", "profiles");
        _workloads = ReadWorkloads(Path.Combine(folder, "workloads.json"));
        ReadProfiles(folder);
        CpuDevice = FindCpu(context.Get(Cpu));
    }

    public PriceBook Book { get; }
    public string BookFile { get; }
    public MachinePrice CpuMachine { get; }
    public string ModelReference => $"{_model}@{_version}";

    /// <summary>One core, by a profile that has the model.</summary>
    public PricedDevice CpuDevice { get; }

    /// <summary>Every accelerator that has a profile.</summary>
    public IReadOnlyList<string> AcceleratorNames => [.. _profiles.Where(p => p.Kind != DeviceKind.Cpu).Select(p => p.Name)];

    public ModelWorkload? Workload => _workloads.FirstOrDefault(w => w.Model == _model && w.Version == _version);

    /// <summary>An accelerator with its price; null, with its coded error said, when it cannot be calculated with.</summary>
    /// <param name="tenure">Null for the price book's own.</param>
    public PricedDevice? Accelerator(string name, Tenure? tenure)
    {
        DeviceProfile? profile = _profiles.Find(p => p.Name == name && p.Kind != DeviceKind.Cpu);
        if (profile is null)
        {
            _output.ErrorLine("PROFILE_MISSING", $"There is no profile of '{name}'; there are {string.Join(", ", AcceleratorNames)}.");
            return null;
        }

        List<DefinitionError> errors = [];
        if (!Book.TryDevice(name, tenure, _today, _ageDaysMax, errors, out DevicePrice? price))
        {
            errors.ForEach(Say);
            return null;
        }

        ModelCurve? curve = Best(profile) ?? (profile.Sheet is { } sheet && Workload is { } workload ? DataSheetModel.Curve(sheet, workload) : null);
        if (curve is null)
        {
            _output.ErrorLine("PROFILE_MISSING", $"{name} was not measured with {ModelReference}, and workloads.json does not say what a row of it asks for.");
            return null;
        }

        return new PricedDevice(profile, curve, DeviceRates.OfDevice(Book, price, tenure ?? price.Tenure), isDivisible: false);
    }

    private PricedDevice FindCpu(string? name)
    {
        // Cores cost the same whoever computes on them: the curve that takes the least time a row is the cheapest. What was measured goes before a data sheet.
        var found = _profiles.Where(p => p.Kind == DeviceKind.Cpu && (name is null || p.Name == name)).Select(profile => (Profile: profile, Curve: Best(profile)))
            .Where(each => each.Curve is not null).OrderByDescending(each => each.Profile.Basis).ThenBy(each => MicrosPerRow(each.Curve!)).FirstOrDefault();
        if (found.Curve is { } curve)
        {
            return new PricedDevice(found.Profile, curve, DeviceRates.OfCore(Book, CpuMachine), isDivisible: true);
        }

        throw CommandFailure.BadInput("PROFILE_MISSING", $"No CPU profile{(name is null ? "" : $" '{name}'")} was measured with {ModelReference}; 'risk accelerators measure' makes one.");
    }

    /// <summary>The fastest variant in large batches.</summary>
    private ModelCurve? Best(DeviceProfile profile) => profile.Models.Where(c => c.Model == _model && c.Version == _version).MinBy(MicrosPerRow);

    private static double MicrosPerRow(ModelCurve curve) => curve.Points.Min(p => p.MedianMicros / p.Batch);

    private static IReadOnlyList<ModelWorkload> ReadWorkloads(string file)
    {
        if (!File.Exists(file))
        {
            return [];
        }

        List<DefinitionError> errors = [];
        return ModelWorkload.TryReadAll(File.ReadAllBytes(file), Path.GetFileName(file), errors, out IReadOnlyList<ModelWorkload>? workloads)
            ? workloads
            : throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(Line)]);
    }

    private void ReadProfiles(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw CommandFailure.BadInput("PROFILE_MISSING", $"{folder} is no folder.");
        }

        foreach (string file in Directory.GetFiles(folder, "*.json").Order(StringComparer.Ordinal).Where(f => Path.GetFileName(f) != "workloads.json"))
        {
            List<DefinitionError> errors = [];
            if (DeviceProfile.TryRead(File.ReadAllBytes(file), Path.GetFileName(file), errors, out DeviceProfile? profile))
            {
                _profiles.Add(profile);
            }

            errors.ForEach(Say);
        }
    }

    private static byte[] ReadFile(string file, string code) =>
        File.Exists(file) ? File.ReadAllBytes(file) : throw CommandFailure.BadInput(code, $"{file} does not exist.");

    private void Say(DefinitionError error) => _output.ErrorLine(error.Code, Line(error).Sentence);

    private static (string Code, string Sentence) Line(DefinitionError error) => (error.Code, $"{error.File} {error.Path}: {error.Sentence}");
}
