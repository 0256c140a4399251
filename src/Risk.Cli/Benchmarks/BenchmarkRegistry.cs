namespace Risk.Cli.Benchmarks;

/// <summary>The benchmarks that <c>risk bench</c> knows, in the order it runs them. A new one is one line here.</summary>
internal static class BenchmarkRegistry
{
    public static IReadOnlyList<Func<IBenchmark>> All { get; } =
    [
        () => new FeatureUpdateBenchmark(),
        () => new TreeScoreBenchmark(),
        () => new TensorForestBenchmark(),
        () => new ModelRunBenchmark(),
        () => new ExplainBenchmark(),
        () => new DecisionEndToEndBenchmark(),
        () => new DecisionLogBenchmark(),
        () => new BrokerLoopBenchmark(),
        () => new RouterRegretBenchmark(),
        () => new LedgerClosureBenchmark(),
    ];
}
