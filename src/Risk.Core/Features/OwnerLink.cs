namespace Risk.Core.Features;

/// <summary>What to do after an owner's reply.</summary>
public enum LinkStep : byte
{
    /// <summary>The request was taken; its values are the answer.</summary>
    Answered,
    /// <summary>The owner lacks something: send again from <see cref="OwnerLink.Acknowledged"/> on, then ask anew.</summary>
    Resend,
    /// <summary>The reply is of an owner that was replaced: ask again.</summary>
    AskAgain,
    /// <summary>Nothing is missing and still it is refused: a later activation of this partition has asked. This one is over.</summary>
    Fenced,
}

/// <summary>
/// What one partition knows of one owner, so that no transaction is missing from an owner that was rebuilt. Pure; the host
/// sends and waits.
/// <para>
/// The invariant: the owner has every transaction of this partition below <see cref="Acknowledged"/> that concerns it. A request
/// says so (<c>From</c>) and adds those up to <c>UpTo</c>. An owner that was rebuilt has them only as far as the log went
/// when it read it; it then refuses, and says how far it has come. From there on everything that concerns it is sent again,
/// from the log and of what is in flight; the owner counts nothing twice. An owner that lost its state while a partition is
/// idle learns of it by the same refusal: the host asks with no rows every second.
/// </para>
/// </summary>
/// <param name="partition">Whose link it is.</param>
/// <param name="askerEpoch">Of the partition's activation.</param>
/// <param name="durable">Transactions in the partition's log when it was opened: what the owner could have read there.</param>
public sealed class OwnerLink(int partition, long askerEpoch, long durable)
{
    /// <summary>The highest epoch of the owner seen; 0 = none yet.</summary>
    public long OwnerEpoch { get; private set; }

    /// <summary>Below this sequence the owner has everything, as far as is known here.</summary>
    public long Acknowledged { get; private set; } = durable;

    /// <summary>The request that holds everything for the owner from <see cref="Acknowledged"/> up to <paramref name="upTo"/>, exclusive.</summary>
    public OwnerRequest Request(long upTo) => new(partition, askerEpoch, Acknowledged, Math.Max(upTo, Acknowledged));

    public LinkStep OnReply(in OwnerRequest request, in OwnerReply reply)
    {
        if (reply.Epoch < OwnerEpoch) { return LinkStep.AskAgain; }
        OwnerEpoch = reply.Epoch;
        if (!reply.IsAccepted)
        {
            if (reply.Covered >= request.From) { return LinkStep.Fenced; }
            Acknowledged = Math.Min(Acknowledged, reply.Covered);
            return LinkStep.Resend;
        }
        Acknowledged = Math.Max(Acknowledged, request.UpTo);
        return LinkStep.Answered;
    }
}
