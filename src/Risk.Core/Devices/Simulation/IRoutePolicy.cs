namespace Risk.Core.Devices.Simulation;

/// <summary>Something that routes, for <see cref="RoutingSimulation"/>: the router, or what it is compared with.</summary>
public interface IRoutePolicy
{
    string Name { get; }

    /// <summary>Accelerators are switched on before the first arrival.</summary>
    bool StartsOn { get; }

    RouteStep Next(in RouteQueue queue, ReadOnlySpan<DeviceState> states, long nowMicros);

    /// <summary>After a step that runs.</summary>
    void Ran(in RouteStep step, in RouteQueue queue, Span<DeviceState> states, long nowMicros);

    /// <summary>Switches devices on or off, if it does such things.</summary>
    void Power(Span<DeviceState> states, bool isQueueEmpty, long nowMicros);
}

/// <summary>The router as a policy.</summary>
public sealed class RouterPolicy(DeviceRouter router, bool startsOn = false) : IRoutePolicy
{
    private RouterLoad _load = router.CreateLoad();

    public string Name => "router";
    public bool StartsOn => startsOn;

    public RouteStep Next(in RouteQueue queue, ReadOnlySpan<DeviceState> states, long nowMicros) => router.Next(queue, states, _load, nowMicros);

    public void Ran(in RouteStep step, in RouteQueue queue, Span<DeviceState> states, long nowMicros) => router.Account(step, queue, states, ref _load, nowMicros);

    public void Power(Span<DeviceState> states, bool isQueueEmpty, long nowMicros)
    {
        for (int d = 0; d < states.Length; d++)
        {
            if (router.PowerAdvice(d, ref states[d], isQueueEmpty, nowMicros) is { } on)
                router.Switch(d, ref states[d], on, nowMicros);
        }
    }
}

/// <summary>
/// What people do without a router: batches of at least so many rows go to the accelerator, smaller ones to the CPU, and the
/// accelerator is never switched off. Batches are cut and wait exactly as the router's do, with that one device to go to: a
/// threshold of 1 is always-accelerator, one above every batch is always-CPU.
/// </summary>
public sealed class ThresholdPolicy : IRoutePolicy
{
    private readonly DeviceRouter _cpu;
    private readonly DeviceRouter _both;
    private readonly int _cpuIndex;
    private readonly int _threshold;
    private RouterLoad _load;

    public ThresholdPolicy(IReadOnlyList<RoutedDevice> devices, RouterOptions options, int threshold)
    {
        _both = new DeviceRouter(devices, options);
        _cpuIndex = devices.ToList().FindIndex(device => device.IsElastic);
        _cpu = new DeviceRouter([devices[_cpuIndex]], options);
        _threshold = threshold;
        _load = new RouterLoad { MoneyPerRow = 1e18 }; // as many rows as are in time
    }

    public string Name => _threshold switch { 1 => "always accelerator", int.MaxValue => "always CPU", _ => $"accelerator from {_threshold} rows" };

    public bool StartsOn => _threshold != int.MaxValue;

    public RouteStep Next(in RouteQueue queue, ReadOnlySpan<DeviceState> states, long nowMicros)
    {
        if (_threshold == int.MaxValue)
            return OnCpu(queue, states, nowMicros);
        Span<DeviceState> accelerators = stackalloc DeviceState[states.Length];
        states.CopyTo(accelerators);
        accelerators[_cpuIndex].IsOn = false;
        RouteStep step = _both.Next(queue, accelerators, _load, nowMicros);
        if (step.IsWait)
            return step;
        return step.Device == _cpuIndex || step.Rows < _threshold ? OnCpu(queue, states, nowMicros) : step;
    }

    public void Ran(in RouteStep step, in RouteQueue queue, Span<DeviceState> states, long nowMicros)
    {
    }

    public void Power(Span<DeviceState> states, bool isQueueEmpty, long nowMicros)
    {
    }

    private RouteStep OnCpu(in RouteQueue queue, ReadOnlySpan<DeviceState> states, long nowMicros)
    {
        RouteStep step = _cpu.Next(queue, states.Slice(_cpuIndex, 1), _load, nowMicros);
        return step.IsWait ? step : step with { Device = _cpuIndex };
    }
}
