using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

public sealed class FileDecisionStoreTests : DecisionStoreContract
{
    private static readonly Label Fraud = new(new EntityKey(1, 2), true, 3);

    protected override bool FindsByEvent => false;

    protected override IDecisionStore OpenStore(byte[]? tokenFingerprint = null) => new FileDecisionStore(Folder, "card-payments", Options() with { TokenFingerprint = tokenFingerprint });

    [Fact]
    public void Owner_IsReadWhileTheLogIsHeld_AndDamageIsTold()
    {
        using IDecisionStore store = OpenStore();
        using IDecisionLog log = store.Open(0, "http://here\nInjected");
        Assert.Equal([new PartitionOwner(0, 1, "http://here Injected")], store.Owners());
        File.WriteAllText(Path.Combine(Folder, "0000", "owner"), "?");
        Assert.Equal(LogCodes.Corrupt, Assert.Throws<DecisionLogException>(store.Owners).Code);
    }

    [Fact]
    public void TornLabel_IsCutBack_DamageBeforeOthersIsTold()
    {
        using IDecisionStore store = OpenStore();
        store.AddLabels(0, [Fraud]);
        string path = Path.Combine(Folder, "0000", "labels");
        byte[] one = File.ReadAllBytes(path);
        byte[] torn = [.. one, .. one];
        torn[^1] ^= 1;
        File.WriteAllBytes(path, [.. torn, 9, 9]);
        Assert.Equal([Fraud], store.Labels(0));
        store.AddLabels(0, [Fraud with { IsPositive = false }]);
        Assert.Equal([Fraud, Fraud with { IsPositive = false }], store.Labels(0));
        byte[] damaged = File.ReadAllBytes(path);
        damaged[3] ^= 1;
        File.WriteAllBytes(path, damaged);
        Assert.Equal(LogCodes.Corrupt, Assert.Throws<DecisionLogException>(() => store.Labels(0)).Code);
        Assert.Equal(LogCodes.Corrupt, Assert.Throws<DecisionLogException>(() => store.AddLabels(0, [Fraud])).Code);
    }

    [Fact]
    public void LogThatFails_DoesNotKeepOthersFromCommitting()
    {
        using IDecisionStore store = OpenStore();
        List<IDecisionLog> logs = [.. Enumerable.Range(0, 5).Select(partition => store.Open(partition, ""))];
        logs.ForEach(log => Append(log, 10, commit: false));
        ((FileDecisionLog)logs[2]).Abandon();
        var failures = new List<(IDecisionLog Log, DecisionLogException Failure)>();
        Assert.Throws<ObjectDisposedException>(logs[2].Commit);
        store.Commit([.. logs.Where(log => log != logs[2])], failures);
        Assert.Empty(failures);
        Assert.All(logs.Where(log => log != logs[2]), log => Assert.Equal(10, log.DurableSize));
        logs.ForEach(log => log.Dispose());
    }
}
