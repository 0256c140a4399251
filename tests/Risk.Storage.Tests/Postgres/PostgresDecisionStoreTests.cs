using Risk.Core.Log;
using Risk.Storage.Postgres;

namespace Risk.Storage.Tests.Postgres;

/// <summary>The store's contract, in PostgreSQL.</summary>
[NeedsPostgres]
[Collection(PostgresFixture.Name)]
public sealed class PostgresDecisionStoreTests(PostgresFixture postgres) : DecisionStoreContract
{
    private string? _database;

    protected override bool FindsByEvent => true;

    protected override IDecisionStore OpenStore(byte[]? tokenFingerprint = null)
    {
        _database ??= postgres.CreateDatabase();
        return PostgresDecisionStore.Connect(new PostgresStoreOptions { ConnectionString = postgres.RuntimeOf(_database), Stream = "card-payments", KeySeed = Seed, TokenFingerprint = tokenFingerprint });
    }
}
