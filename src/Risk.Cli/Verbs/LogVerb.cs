using System.CommandLine;
using System.Globalization;
using Risk.Cli.CommandLine;
using Risk.Core.Log;
using Risk.Storage.Postgres;

namespace Risk.Cli.Verbs;

/// <summary><c>risk log export</c>: a partition's log out of PostgreSQL, as the files that an auditor verifies offline.</summary>
internal static class LogVerb
{
    private static readonly Option<string> s_database = new("--database") { Description = "Where a connection string stands: env:NAME or file:PATH. A login that may read is enough.", HelpName = "REFERENCE", Required = true };
    private static readonly Option<string> s_stream = new("--stream") { Description = "The stream's name in the database.", HelpName = "NAME", DefaultValueFactory = _ => CommonOptions.StreamDefault };
    private static readonly Option<int> s_partition = new("--partition") { Description = "The partition, from 0.", HelpName = "P", Required = true };
    private static readonly Option<string> s_out = new("--out") { Description = "A new or empty directory for it.", HelpName = "DIR", Required = true };

    public static Command Create()
    {
        var export = new Command("export", "Copies a partition's log out of PostgreSQL into files: risk verify, show and explain take them like any other's.") { s_database, s_stream, s_partition, s_out };
        export.SetVerb(RunExport);
        return new Command("log", "Decision logs in PostgreSQL.") { export };
    }

    private static ExitCode RunExport(VerbContext context)
    {
        string directory = Path.GetFullPath(context.Get(s_out)!);
        int partition = context.Get(s_partition);
        if (partition < 0) { throw CommandFailure.BadInput("USAGE", "--partition counts from 0."); }
        if (File.Exists(directory) || (Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any()))
        {
            throw CommandFailure.BadInput("OUT_NOT_EMPTY", $"{directory} is there already and not empty; name a new directory, so that nothing of another log is among it.");
        }
        string connection = StoreFiles.Secret(context.Get(s_database)!, "--database");
        LogExport export = context.Output.Run("Exporting", "records", null, report => PostgresLogExport.Run(connection, context.Get(s_stream)!, partition, directory, (done, total) => (report.Total, report.Done) = (total, done), context.Cancellation));
        if (context.Output.Json)
        {
            context.Output.WriteJson(json =>
            {
                json.WriteBoolean("ok", export.Bad is null);
                json.WriteString("origin", export.Origin);
                json.WriteNumber("size", export.Size);
                json.WriteNumber("notCovered", export.NotCovered);
                json.WriteString("verifierKey", export.VerifierKey);
                json.WriteString("directory", directory);
                if (export.Bad is var (first, last))
                {
                    json.WriteNumber("firstBad", first);
                    json.WriteNumber("lastBad", last);
                }
            });
        }
        else
        {
            context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{export.Origin}: {export.Size:N0} records up to its newest checkpoint, in {directory}; {export.NotCovered:N0} newer ones wait for the next checkpoint."));
            context.Output.WriteLine($"  risk verify {directory}   with --key, and a key that you have from elsewhere than the database");
        }
        if (export.Bad is not var (from, to)) { return ExitCode.Done; }
        context.Output.ErrorLine(LogCodes.Corrupt, string.Create(CultureInfo.InvariantCulture, $"{(from == to ? $"record {from} is" : $"one of the records {from} to {to} is the first that is")} not as it was committed, or gone; everything was exported as the database has it."));
        return ExitCode.No;
    }
}
