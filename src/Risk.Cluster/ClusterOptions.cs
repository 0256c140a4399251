using System.Globalization;

namespace Risk.Cluster;

/// <summary>What <c>risk-cluster</c> is told on its command line.</summary>
/// <param name="Role"><c>silo</c> or <c>front</c>.</param>
/// <param name="Config">The configuration of <c>risk serve</c>, JSON.</param>
/// <param name="Membership"><c>env:NAME</c> or <c>file:PATH</c> of PostgreSQL's connection string; <c>localhost[:PORT]</c> for one machine, without a database: silos meet at the first one's silo port, 11111 unless said.</param>
/// <param name="Partitions">Of the stream; the same everywhere and for ever.</param>
/// <param name="ProbeSeconds">How often silos ask each other for a sign of life; one that misses three is declared dead. 5 is Orleans' default.</param>
internal sealed record ClusterOptions(string Role, string Config, string Membership, string ClusterId, int Partitions, string Host, int SiloPort, int GatewayPort, string Listen, int ProbeSeconds)
{
    public const string Usage = "USAGE: risk-cluster silo|front --config FILE [--membership env:NAME|file:PATH|localhost[:PORT]] [--partitions 12] [--cluster risk] [--host 127.0.0.1] [--silo-port 11111] [--gateway-port 30000] [--listen http://127.0.0.1:8080] [--probe-seconds 5]";

    /// <summary>The silo port of a development cluster's first silo; null where membership is in PostgreSQL.</summary>
    public int? LocalhostPort => Membership == "localhost" ? 11111 : Membership.StartsWith("localhost:", StringComparison.Ordinal) && int.TryParse(Membership["localhost:".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int port) ? port : null;

    /// <summary>Null with the sentence of what is wrong.</summary>
    public static ClusterOptions? Read(string[] arguments, out string fault)
    {
        fault = Usage;
        if (arguments.Length == 0 || arguments[0] is not ("silo" or "front") || arguments.Length % 2 == 0) { return null; }
        var given = new Dictionary<string, string>
        {
            ["--membership"] = "localhost", ["--partitions"] = "12", ["--cluster"] = "risk", ["--host"] = "127.0.0.1",
            ["--silo-port"] = "11111", ["--gateway-port"] = "30000", ["--listen"] = "http://127.0.0.1:8080", ["--config"] = "", ["--probe-seconds"] = "5",
        };
        for (int i = 1; i < arguments.Length; i += 2)
        {
            if (!given.ContainsKey(arguments[i]))
            {
                fault = $"USAGE: {arguments[i]} is not known. {Usage[7..]}";
                return null;
            }
            given[arguments[i]] = arguments[i + 1];
        }
        foreach (string name in (string[])["--partitions", "--silo-port", "--gateway-port", "--probe-seconds"])
        {
            if (!int.TryParse(given[name], NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number is < 1 or > 65535)
            {
                fault = $"USAGE: {name} is a number from 1 to 65535.";
                return null;
            }
        }
        return new ClusterOptions(arguments[0], given["--config"], given["--membership"], given["--cluster"], Number("--partitions"), given["--host"], Number("--silo-port"), Number("--gateway-port"), given["--listen"], Number("--probe-seconds"));

        int Number(string name) => int.Parse(given[name], CultureInfo.InvariantCulture);
    }
}
