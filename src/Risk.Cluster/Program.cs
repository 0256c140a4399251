using Risk.Cli.CommandLine;
using Risk.Cluster;
using Risk.Core.Log;
using Risk.Service.Serving;

if (Risk.Cluster.ClusterOptions.Read(args, out string fault) is not { } options)
{
    Console.Error.WriteLine(fault);
    return 2;
}
try
{
    string? wrong = null;
    ServeConfiguration? configuration = options.Config.Length == 0 ? new ServeConfiguration() : ServeConfiguration.Read(File.ReadAllBytes(options.Config), out wrong);
    if (configuration is null)
    {
        Console.Error.WriteLine($"CONFIG_INVALID: {options.Config}: {wrong}");
        return 2;
    }
    return options.Role == "silo" ? await ClusterSilo.Run(options, configuration) : await ClusterFront.Run(options, configuration);
}
catch (CommandFailure failure)
{
    foreach ((string code, string sentence) in failure.Lines) { Console.Error.WriteLine($"{code}: {sentence}"); }
    return (int)failure.Exit;
}
catch (DecisionLogException failure)
{
    Console.Error.WriteLine(failure.Message);
    return 3;
}
catch (IOException failure)
{
    (string code, string sentence) = ServeFaults.Explain(failure);
    Console.Error.WriteLine($"{code}: {sentence}");
    return 3;
}
