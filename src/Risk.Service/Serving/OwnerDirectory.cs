using Risk.Core.Log;
using Risk.Service.Engine;

namespace Risk.Service.Serving;

/// <summary>Who owns the partitions of other processes, and where they answer: as the store tells, at most a second old. A hint.</summary>
internal sealed class OwnerDirectory(IDecisionStore store, Func<string> ownAddress, EngineClock clock)
{
    private const long AgeMaxMicros = 1_000_000;
    private IReadOnlyList<PartitionOwner> _owners = [];
    private long? _readAt;

    /// <summary>Where the partition's owner answers, when it is another process; null where nobody knows.</summary>
    public string? OwnerOf(int partition) => Owners().Where(o => o.Partition == partition).Select(o => o.Owner).FirstOrDefault(IsOther);

    /// <summary>All other processes of the stream.</summary>
    public IEnumerable<string> Others() => Owners().Select(o => o.Owner).Where(IsOther).Distinct();

    // A cluster's silo (silo://…), which may have had the partition before, does not answer in this way.
    private bool IsOther(string owner) => owner.StartsWith("http", StringComparison.Ordinal) && owner != ownAddress();

    private IReadOnlyList<PartitionOwner> Owners()
    {
        long now = clock.NowMicros;
        if (_readAt is not { } at || now - at > AgeMaxMicros)
        {
            _owners = store.Owners();
            _readAt = now;
        }
        return _owners;
    }
}
