using System.Reflection;
using Npgsql;

namespace Risk.Cluster.Membership;

/// <summary>Orleans' membership tables in PostgreSQL, by Orleans' own scripts.</summary>
internal static class MembershipTables
{
    // Any number that nothing else in this database locks.
    private const long AdvisoryLock = 0x5249_534B_4F52;

    /// <summary>Makes the tables where they are missing; several silos may do so at once.</summary>
    /// <param name="connectionString">With a login that may make tables, the first time.</param>
    public static void Ensure(string connectionString)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        using NpgsqlTransaction transaction = connection.BeginTransaction();
        Execute($"SELECT pg_advisory_xact_lock({AdvisoryLock})");
        if (Execute("SELECT to_regclass('orleansquery') IS NULL") is true)
        {
            Execute(Script("PostgreSQL-Main.sql"));
            Execute(Script("PostgreSQL-Clustering.sql"));
            Execute(Script("PostgreSQL-Clustering-3.7.0.sql"));
        }
        transaction.Commit();

        object? Execute(string text)
        {
            using var command = new NpgsqlCommand(text, connection, transaction);
            return command.ExecuteScalar();
        }
    }

    private static string Script(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        return new StreamReader(stream).ReadToEnd();
    }
}
