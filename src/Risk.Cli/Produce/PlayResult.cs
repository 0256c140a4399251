using Risk.Core.Transactions;

namespace Risk.Cli.Produce;

/// <summary>What a run of <see cref="StreamPlayer"/> came to.</summary>
internal sealed class PlayResult
{
    private readonly SortedDictionary<ErrorCode, long> _rejected = [];
    private readonly List<Rejection> _rejections = [];

    /// <summary>Transactions handed to the client library.</summary>
    public long Sent { get; set; }

    /// <summary>Transactions and labels that the brokers have.</summary>
    public long Acknowledged { get; private set; }

    /// <summary>Messages of which nobody knows: the run was stopped before the brokers answered.</summary>
    public long Unconfirmed { get; set; }

    /// <summary>Transactions sent behind one with a later event time, because they stood further behind it than the stream's grace.</summary>
    public long OutOfOrder { get; set; }

    /// <summary>Records left out, by code.</summary>
    public IReadOnlyDictionary<ErrorCode, long> Rejected => _rejected;

    /// <summary>The first of them.</summary>
    public IReadOnlyList<Rejection> Rejections => _rejections;

    /// <summary>Transactions by partition.</summary>
    public IReadOnlyList<long> Partitions { get; private set; } = [];

    public bool SendsLabels { get; private set; }
    public long LabelsSent { get; private set; }

    /// <summary>Labels whose time was not reached in event time.</summary>
    public long LabelsNotDue { get; private set; }

    /// <summary>Labels of transactions that were not sent.</summary>
    public long LabelsWithoutTransaction { get; private set; }

    public double Seconds { get; set; }

    /// <summary>How far behind its due time a message was sent, at worst; 0 without a pace.</summary>
    public double BehindMaxSeconds { get; set; }

    public bool IsInterrupted { get; set; }

    /// <summary>What ended it before its time: the source's or the brokers' error; null where nothing did.</summary>
    public CodedError? Failure { get; set; }

    public void Reject(in Rejection rejection, int keptMax)
    {
        _rejected[rejection.Code] = _rejected.GetValueOrDefault(rejection.Code) + 1;
        if (_rejections.Count < keptMax) { _rejections.Add(rejection); }
    }

    public void Take(SequencedTopic transactions, SequencedTopic? labelTopic, DueLabels? labels)
    {
        Acknowledged = transactions.Acknowledged + (labelTopic?.Acknowledged ?? 0);
        Partitions = transactions.Sent;
        SendsLabels = labelTopic is not null;
        LabelsSent = labelTopic?.Sent.Sum() ?? 0;
        LabelsNotDue = labels?.Waiting ?? 0;
        LabelsWithoutTransaction = labels?.WithoutTransaction ?? 0;
        Failure ??= transactions.Refusal ?? labelTopic?.Refusal;
    }
}
