using System.Globalization;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference.Devices;

namespace Risk.Service.Engine;

/// <summary>
/// The devices of a process as the router and the ledger see them: what each costs, by the price book, and how long it takes, by
/// a profile that was measured with it or, where none fits, by a short measurement when the engine starts. A device whose price
/// is missing or stale cannot be compared and gets no work; a device in software costs the machine's own cores, which are
/// metered already. Without accelerators there is nothing to choose, and nothing here.
/// </summary>
public sealed class DeviceRoutes
{
    private readonly List<DeviceRefusal> _refusals = [];
    private readonly List<string> _notes = [];
    private readonly List<DeviceMeter> _meters = [];
    private readonly List<(RoutedDevice Device, IScorer Scorer, int Place)> _routed = [];

    private DeviceRoutes()
    {
    }

    /// <summary>For a ledger: one for each accelerator that costs something by itself, by what its session has counted.</summary>
    public IReadOnlyList<DeviceMeter> Meters => _meters;

    /// <summary>Null: devices are tried in the ladder's order.</summary>
    public DeviceDispatch? Dispatch { get; private set; }

    /// <summary>Prices and profiles that cannot be used, with their codes; decisions go on without them.</summary>
    public IReadOnlyList<DeviceRefusal> Refusals => _refusals;

    /// <summary>For people: what each device is routed by.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Prices and profiles of the model's devices, measured where that is needed; a second or so with accelerators, nothing without.</summary>
    /// <param name="batchSizeMax">Rows of the largest micro-batch.</param>
    /// <param name="clock">The engine's, microseconds.</param>
    public static DeviceRoutes Create(ServingModel model, RoutingOptions options, PriceBook book, MachinePrice machine, int batchSizeMax, DateOnly today, Func<long> clock)
    {
        IReadOnlyList<IScorer> scorers = model.Ladder.Scorers;
        var routes = new DeviceRoutes();
        if (model.Devices.Count == 0) { return routes; }
        DeviceRates core = DeviceRates.OfCore(book, machine);
        var rates = new Dictionary<DeviceSession, DeviceRates>();
        for (int place = 0; place < model.Devices.Count; place++)
        {
            DeviceSession session = model.Devices[place];
            if (routes.Rates(session, book, core, today, options.IsInOrder) is not { } price) { continue; }
            rates.Add(session, price);
            if (price != core) { routes._meters.Add(new DeviceMeter(price, name: session.Device, use: () => session.Statistics.Use, joules: options.Joules(session.Accelerator))); }
        }
        if (options.IsInOrder)
        {
            routes._notes.Add($"devices are tried in the order of the configuration ({string.Join(", ", model.Devices.Select(d => d.Device))}, then the processor), whatever they cost");
            return routes;
        }
        int processor = model.Devices.Count;
        using IDisposable warmingUp = model.WarmingUp();
        CostCurve cpu = routes.ProcessorCurve(model, scorers[processor], options, batchSizeMax);
        routes._routed.Add((new RoutedDevice(scorers[processor].Device, cpu, core, isElastic: true, machine.Cores), scorers[processor], processor));
        for (int place = 0; place < processor; place++)
        {
            DeviceSession session = model.Devices[place];
            if (!rates.TryGetValue(session, out DeviceRates? price) || routes.Curve(model, session, options) is not { } curve) { continue; }
            bool isSoftware = price == core;
            routes._routed.Add((new RoutedDevice(session.Device, curve, price, isElastic: isSoftware, hostCore: isSoftware ? null : core), session, place));
        }
        routes.Dispatch = new DeviceDispatch(routes._routed, options.Router, options.Grade, options.DeadlineMicros, clock(), clock);
        return routes;
    }

    /// <summary>What the device costs; the processor's rates for one in software; null, with its refusal, when there is no price that may be used.</summary>
    private DeviceRates? Rates(DeviceSession session, PriceBook book, DeviceRates core, DateOnly today, bool isInOrder)
    {
        AcceleratorDevice device = session.Accelerator;
        if (book.WhyUnpriced is not null)
        {
            _refusals.Add(new DeviceRefusal(session.Device, "PRICE_MISSING", isInOrder ? "what it computes has no cost, because there are no prices" : "there are no prices to compare it with the processor by; until there are, it gets no work"));
            return null;
        }
        if (device.Configuration.Prices is { } named ? book.TryMachine(named, out _) : device.Profile.Kind == DeviceKind.Cpu) { return core; }
        List<DefinitionError> errors = [];
        if (book.TryDevice(device.Configuration.Prices ?? device.Name, null, today, null, errors, out DevicePrice? price))
        {
            foreach (DefinitionError old in book.Old(book.PricesOf(price, price.Tenure), today)) { _notes.Add($"{old.Code}: {old.File} {old.Path}: {old.Sentence}"); }
            return DeviceRates.OfCard(book, price, price.Tenure);
        }
        foreach (DefinitionError error in errors) { _refusals.Add(new DeviceRefusal(session.Device, error.Code, $"{error.File} {error.Path}: {error.Sentence}")); }
        return null;
    }

    private CostCurve ProcessorCurve(ServingModel model, IScorer scorer, RoutingOptions options, int batchSizeMax)
    {
        if (options.ProcessorProfile is { } name && options.Profile(name) is { } profile)
        {
            if (profile.TryCurve(model.Bundle.Manifest.Name, model.Bundle.Manifest.Version, null, out ModelCurve? curve))
            {
                _notes.Add($"{scorer.Device} is routed by its profile {profile.Name}, {curve.Variant}");
                return new CostCurve(curve, isPadded: false);
            }
            _refusals.Add(new DeviceRefusal(scorer.Device, "PROFILE_MISSING", $"{name} has no curve of {model.Champion.Reference}; the processor is measured instead"));
        }
        CostCurve? measured = WarmUpMeasurement.Curve(scorer, model.Bundle, DeviceMeasurement.BatchSizes(batchSizeMax), isPadded: false, isHost: true);
        _notes.Add($"{scorer.Device} ({scorer.ExecutionProvider}) was measured just now: {Shown(measured)}");
        // A processor that cannot score has the ladder below it; any curve will do.
        return measured ?? new CostCurve(new ModelCurve("", "", "", null, [new CostPoint(batchSizeMax, 1, 1, 0, 1)]), isPadded: false);
    }

    private CostCurve? Curve(ServingModel model, DeviceSession session, RoutingOptions options)
    {
        string name = session.Accelerator.Configuration.Profile ?? session.Device, why = $"there is no profile '{name}'";
        if (options.Profile(name) is { } profile)
        {
            if (ServingProfile.Judge(profile, session.Accelerator, session.Model, out ModelCurve? curve) is not { } misfit)
            {
                _notes.Add($"{session.Device} is routed by its profile {profile.Name}, {curve!.Variant}, measured {profile.Date:yyyy-MM-dd}{(profile.Machine.Length > 0 ? $" on {profile.Machine}" : "")}");
                return new CostCurve(curve, profile.IsPadded);
            }
            why = misfit.Reason;
            if (misfit.Code == ServingProfile.Stale) { _refusals.Add(new DeviceRefusal(session.Device, misfit.Code, $"{why}; the device is measured now instead")); }
        }
        CostCurve? measured = WarmUpMeasurement.Curve(session, model.Bundle, session.Sizes, isPadded: true, isHost: false);
        if (measured is null) { _refusals.Add(new DeviceRefusal(session.Device, DeviceCodes.Failed, "it came to nothing while its batch sizes were measured; it gets no work")); }
        else { _notes.Add($"{session.Device} was measured just now, because {why}: {Shown(measured)}"); }
        return measured;
    }

    private static string Shown(CostCurve? curve) => curve is null ? "no score" : string.Create(CultureInfo.InvariantCulture, $"{curve.At(1).MedianMicros:0.#} µs for 1 row, {curve.At(curve.BatchMax).MedianMicros:0} µs for {curve.BatchMax}");
}
