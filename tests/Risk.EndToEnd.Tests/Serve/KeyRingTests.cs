using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.EndToEnd.Tests.Serve;

public sealed class KeyRingTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public void SixteenProcessesAtOnce_HaveTheSameKey()
    {
        for (int round = 0; round < 10; round++)
        {
            var tokens = new EntityKey[16];
            string folder = _folder[$"{round}"];
            using var start = new Barrier(tokens.Length);
            Thread[] threads = [.. Enumerable.Range(0, tokens.Length).Select(i => new Thread(() =>
            {
                start.SignalAndWait();
                tokens[i] = new TransactionKeys("card-payments", KeyRing.OpenOrCreate(folder).Secret).Event("p1"u8);
            }))];
            foreach (Thread thread in threads) { thread.Start(); }
            foreach (Thread thread in threads) { thread.Join(); }
            Assert.NotEqual(default, tokens[0]);
            Assert.Single(tokens.Distinct());
            Assert.Single(Directory.GetFiles(Path.Combine(folder, "keys")));
        }
    }

    public void Dispose() => _folder.Dispose();
}
