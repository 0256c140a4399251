// Stand-in by the lead until the command-line engineer's StreamFiles lands: replace this file with yours (StreamInput.cs and DemoVerb.cs use it).
using Risk.Core; using Risk.Core.Decisions; using Risk.Cli.CommandLine;
namespace Risk.Cli;
internal sealed record StreamFiles(StreamDefinition Definition, string? RecordedTransactions, string? RecordedLabels)
{
    public static StreamFiles Load(string name) { var d = Directory.Exists(name) ? name : Path.Combine(RiskHome.Find(), "streams", name); var e = new List<DefinitionError>();
      var def = StreamDefinition.Read(File.ReadAllBytes(d+"/schema.json"), File.ReadAllBytes(d+"/features.json"), File.ReadAllBytes(d+"/policy.json"), d, e);
      if (def is null) throw new CommandFailure(ExitCode.BadInput, [.. e.Select(x => (x.Code, x.ToString()))]);
      return new(def, def.Schema.Recorded is { } r ? Path.Combine(d, r.Transactions) : null, def.Schema.Recorded?.Labels is { } l ? Path.Combine(d, l) : null); }
}
