using Risk.Core.Log;
using Risk.Storage.Postgres;
using Risk.Storage.Tests.Log;

namespace Risk.Storage.Tests.Postgres;

/// <summary>The log's contract, in PostgreSQL.</summary>
[NeedsPostgres]
[Collection(PostgresFixture.Name)]
public sealed class PostgresDecisionLogTests(PostgresFixture postgres) : DecisionLogContract
{
    private PostgresDecisionStore? _store;

    protected override IDecisionLog OpenLog()
    {
        _store ??= PostgresDecisionStore.Connect(new PostgresStoreOptions { ConnectionString = postgres.RuntimeOf(postgres.CreateDatabase()), Stream = "card-payments", KeySeed = Seed });
        return _store.Open(0, "");
    }

    protected override void Dispose(bool disposing)
    {
        _store?.Dispose();
        base.Dispose(disposing);
    }
}
