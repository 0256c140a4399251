using System.CommandLine;
using Risk.Cli.CommandLine;
using Risk.Storage.Postgres;

namespace Risk.Cli.Verbs;

/// <summary><c>risk migrate</c>: brings a database's schema up to date, as its owner.</summary>
internal static class MigrateVerb
{
    private static readonly Option<string> s_database = new("--database") { Description = "Where the owner's connection string stands: env:NAME or file:PATH.", HelpName = "REFERENCE", Required = true };
    private static readonly Option<string?> s_grant = new("--grant") { Description = "A login that may run the engine from now on: insert and read, nothing else.", HelpName = "LOGIN" };

    public static Command Create()
    {
        var command = new Command("migrate", "Make or update the PostgreSQL schema of the store; again does no harm.") { s_database, s_grant };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        string connection = StoreFiles.Secret(context.Get(s_database)!, "--database");
        IReadOnlyList<string> applied = context.Output.Run("Migrating", "migrations", PostgresMigrations.Shipped.Count, _ => PostgresMigrations.Apply(connection));
        if (context.Get(s_grant) is { } login) { PostgresMigrations.Grant(connection, login); }
        if (context.Output.Json)
        {
            context.Output.WriteJson(json =>
            {
                json.WriteStartArray("applied");
                foreach (string name in applied) { json.WriteStringValue(name); }
                json.WriteEndArray();
            });
            return ExitCode.Done;
        }
        foreach (string name in applied) { context.Output.WriteLine($"applied {name}"); }
        context.Output.WriteLine(applied.Count == 0 ? "The schema is up to date." : "The schema is up to date now.");
        return ExitCode.Done;
    }
}
