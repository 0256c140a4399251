using System.CommandLine;
using Risk.Cli.CommandLine;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>
/// What the cost verbs calculate with: a price book, device profiles and the models' workloads, from <c>ops/</c> or from where
/// the options say. A device whose price or profile is missing, wrong or stale is left out with its coded error, and the
/// calculation goes on with the others, as the engine does; one that was asked for by name ends it.
/// </summary>
internal sealed class CostInputs
{
    public static readonly Option<string?> Prices = PriceBookFile.Prices;
    public static readonly Option<string?> Profiles = new("--profiles") { Description = "The folder of device profiles; ops/profiles when left out.", HelpName = "DIR" };
    public static readonly Option<int?> AgeMax = new("--price-age-max") { Description = "Days after which a price is stale; the book's ageDaysMax when left out.", HelpName = "DAYS" };
    public static readonly Option<string> Model = new("--model") { Description = "The model that is scored with.", HelpName = "NAME@VERSION", DefaultValueFactory = _ => "card-fraud@1" };
    public static readonly Option<string?> Machine = PriceBookFile.Machine("The price book's machine for the CPU, and only its tenure is shown; when left out, the first rented and the first owned machine of the book.");
    public static readonly Option<string?> Cpu = new("--cpu") { Description = "The CPU's profile; of those that were measured with the model, the one with the least time a row when left out.", HelpName = "NAME" };

    private readonly Output _output;
    private readonly List<DeviceProfile> _profiles = [];
    private readonly IReadOnlyList<ModelWorkload> _workloads;
    private readonly DateOnly _today = DateOnly.FromDateTime(DateTime.UtcNow);
    private readonly int? _ageDaysMax;
    private readonly string _model;
    private readonly string _version;
    private readonly MachinePrice? _machine;
    private readonly ModelCurve _cpuCurve;
    private readonly HashSet<string> _said = [];
    private readonly Dictionary<DeviceProfile, string> _files = [];

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
        string file = PriceBookFile.PathOf(context.Get(Prices));
        List<DefinitionError> errors = [], deviceErrors = [];
        if (!PriceBookFile.TryRead(file, errors, deviceErrors, out PriceBook? book))
        {
            throw PriceBookFile.Failure(errors);
        }

        Book = book;
        BookFile = file;
        deviceErrors.ForEach(Say);
        _machine = context.Get(Machine) is not { } machine ? null
            : book.TryMachine(machine, out MachinePrice? found) ? found : throw PriceBookFile.Failure([PriceBookFile.UnknownMachine(file, book, machine)]);
        ProfileFolder = context.Get(Profiles) ?? Path.Combine(RiskHome.Find(), "ops", "profiles");
        _workloads = ReadWorkloads(WorkloadFile);
        ReadProfiles(ProfileFolder);
        Sources = new FigureSources([file, WorkloadFile, .. _files.Values]);
        (CpuProfile, _cpuCurve) = FindCpu(context.Get(Cpu));
    }

    public PriceBook Book { get; }

    /// <summary>The price book, the workloads and the profiles as they stand.</summary>
    public FigureSources Sources { get; }
    public string BookFile { get; }
    public string ProfileFolder { get; }
    public string WorkloadFile => Path.Combine(ProfileFolder, "workloads.json");
    public DeviceProfile CpuProfile { get; }

    /// <summary>The name of a profile's file.</summary>
    public string FileOf(DeviceProfile profile) => Path.GetFileName(_files[profile]);

    public string ModelName => _model;
    public string ModelVersion => _version;
    public string ModelReference => $"{_model}@{_version}";

    /// <summary>Every accelerator that has a profile.</summary>
    public IReadOnlyList<string> AcceleratorNames => [.. _profiles.Where(p => p.Kind != DeviceKind.Cpu).Select(p => p.Name)];

    /// <summary>How the CPU and the accelerators are to be had: both rented, both owned, or each in turn.</summary>
    /// <param name="asked">Null for what the machine allows.</param>
    public IReadOnlyList<Tenure> Tenures(Tenure? asked) => asked is { } one ? [one] : _machine is { } machine ? [machine.Tenure] : [Tenure.Rented, Tenure.Owned];

    /// <summary>The CPU's machine, paid in this way: the one that was named, or the book's default.</summary>
    public MachinePrice MachineFor(Tenure tenure)
    {
        MachinePrice machine = (_machine ?? Book.DefaultMachine(tenure)
            ?? throw CommandFailure.BadInput("PRICE_MISSING", $"{BookFile} has no {Numbers.Word(tenure)} machine; name one with --machine.")) with { Tenure = tenure };
        List<DefinitionError> errors = [];
        Book.RequireFreshMachine(machine, _today, _ageDaysMax, errors);
        return errors.Count == 0 ? machine : throw PriceBookFile.Failure(errors);
    }

    /// <summary>One core of the machine.</summary>
    /// <param name="isWhole">Machines are had whole; else cores are counted by their share.</param>
    /// <param name="book">Null for <see cref="Book"/>.</param>
    public PricedDevice Core(MachinePrice machine, bool isWhole, PriceBook? book = null) =>
        new(CpuProfile, _cpuCurve, DeviceRates.OfCore(book ?? Book, machine), isDivisible: !isWhole, lot: isWhole ? machine.Cores : 1);

    /// <summary>A device as if all that it is made of were known to be at one end; its host or machine too.</summary>
    /// <param name="book">That its rates were made from.</param>
    public static PricedDevice At(Scenario end, PricedDevice device, PriceBook book, MachinePrice machine)
    {
        PriceBook known = book.At(end);
        MachinePrice host = known.Machines.First(m => m.Name == machine.Name) with { Tenure = machine.Tenure };
        DeviceRates rates = device.Rates.Host is not { } share ? DeviceRates.OfCore(known, host)
            : DeviceRates.OfDevice(known, known.Devices.First(d => d.Name == device.Rates.Name), device.Rates.Tenure, host, isWhole: share.CoresPerMachine > 0);
        return new PricedDevice(device.Profile, device.Curve.At(end), rates, device.IsDivisible, device.Lot);
    }

    /// <summary>Prices that are old: what they are of, and their dates.</summary>
    public IReadOnlyList<(string What, DateOnly Date)> Old(PricedDevice device, MachinePrice machine) =>
    [
        .. (device.Rates.Host is null ? Book.PricesOf(machine) : Book.PricesOf(Book.Devices.First(d => d.Name == device.Profile.Name), device.Rates.Tenure))
            .Where(price => Book.IsOld(price.Figure, _today)).Select(price => (price.Path.Split('.')[^1], price.Figure.Date)),
    ];

    /// <summary>
    /// The accelerators by name, in a fleet whose machines are these. Null in place of one that cannot be had so, or that, with
    /// its coded errors said, cannot be calculated with.
    /// </summary>
    /// <param name="asked">Names that the caller asked for; null for all that have a profile.</param>
    /// <param name="book">Null for <see cref="Book"/>.</param>
    /// <exception cref="CommandFailure">One that was asked for cannot be used.</exception>
    public IReadOnlyList<PricedDevice> Accelerators(IReadOnlyList<string>? asked, MachinePrice machine, bool isWhole, bool isTenureAsked, PriceBook? book = null)
    {
        List<PricedDevice> found = [];
        foreach (string name in asked ?? AcceleratorNames)
        {
            List<DefinitionError> errors = [];
            if (Accelerator(name, book ?? Book, machine, isWhole, isTenureAsked && asked is not null, errors) is { } device)
                found.Add(device);
            else if (asked is not null && errors.Count > 0)
                throw PriceBookFile.Failure(errors);
            else
                errors.Where(error => _said.Add($"{error.Path} {error.Sentence}")).ToList().ForEach(Say);
        }

        return found;
    }

    /// <summary>Place of <see cref="Workload"/> in its file.</summary>
    public int WorkloadIndex => _workloads.ToList().FindIndex(w => w.Model == _model && w.Version == _version);

    public ModelWorkload? Workload => _workloads.FirstOrDefault(w => w.Model == _model && w.Version == _version);

    private PricedDevice? Accelerator(string name, PriceBook book, MachinePrice machine, bool isWhole, bool mustBeHadSo, List<DefinitionError> errors)
    {
        DeviceProfile? profile = _profiles.Find(p => p.Name == name && p.Kind != DeviceKind.Cpu);
        if (profile is null)
        {
            errors.Add(new DefinitionError("PROFILE_MISSING", ProfileFolder, "$", $"there is no profile of '{name}'; there are {string.Join(", ", AcceleratorNames)}"));
            return null;
        }

        if (!mustBeHadSo && book.Devices.FirstOrDefault(d => d.Name == name) is { } listed && !listed.CanBe(machine.Tenure))
        {
            return null;
        }

        if (!book.TryDevice(name, machine.Tenure, _today, _ageDaysMax, errors, out DevicePrice? price))
        {
            return null;
        }

        ModelCurve? curve = Best(profile) ?? (profile.Sheet is { } sheet && Workload is { } workload ? DataSheetModel.Curve(sheet, workload) : null);
        if (curve is null)
        {
            errors.Add(new DefinitionError("PROFILE_MISSING", $"{name}.json", "$.models", $"was not measured with {ModelReference}, and workloads.json does not say what a row of it asks for"));
            return null;
        }

        return new PricedDevice(profile, curve, DeviceRates.OfDevice(book, price, machine.Tenure, machine, isWhole), isDivisible: false);
    }

    private (DeviceProfile Profile, ModelCurve Curve) FindCpu(string? name)
    {
        // Cores cost the same whoever computes on them: the curve that takes the least time a row is the cheapest. What was measured goes before a data sheet.
        var found = _profiles.Where(p => p.Kind == DeviceKind.Cpu && (name is null || p.Name == name)).Select(profile => (Profile: profile, Curve: Best(profile)))
            .Where(each => each.Curve is not null).OrderByDescending(each => each.Profile.Basis).ThenBy(each => MicrosPerRow(each.Curve!)).FirstOrDefault();
        if (found.Curve is { } curve)
        {
            return (found.Profile, curve);
        }

        // In fewer bits the model is a version of its own, and cards are timed so under the version that it was made of.
        string full = _version.Split('-')[0];
        if (full != _version && _profiles.Exists(p => p.Kind == DeviceKind.Cpu && p.Models.Any(c => c.Model == _model && c.Version == full)))
        {
            throw CommandFailure.BadInput(
                "PROFILE_MISSING", $"No CPU profile was measured with {ModelReference}. Compare with --model {_model}@{full}: there the CPU runs the model as it is, a card whose data sheet is in fewer bits is timed in them (int8, fp16, bf16), and how many outcomes that changes is said. To have the CPU timed in {_version}, measure it with that version in the stream's policy ('risk accelerators measure').");
        }

        throw CommandFailure.BadInput("PROFILE_MISSING", $"No CPU profile{(name is null ? "" : $" '{name}'")} was measured with {ModelReference}; 'risk accelerators measure' makes one.");
    }

    /// <summary>The fastest variant in large batches.</summary>
    private ModelCurve? Best(DeviceProfile profile) => profile.Models.Where(c => c.Model == _model && c.Version == _version).MinBy(MicrosPerRow)?.BetweenQuartiles();

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
            : throw PriceBookFile.Failure(errors);
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
                _files[profile] = file;
            }

            errors.ForEach(Say);
        }
    }

    private void Say(DefinitionError error) => _output.ErrorLine(error.Code, PriceBookFile.Sentence(error));
}
