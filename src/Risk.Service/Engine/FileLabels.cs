using Risk.Core.Features;
using Risk.Core.Transactions;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>The labels of a file as the engine meets them: each only once it is due.</summary>
internal sealed class FileLabels(LabelFile labels) : ILabelSource
{
    public bool IsPositive(in EntityKey eventKey, out long? knownAt)
    {
        bool found = labels.TryGet(eventKey, out Label label);
        knownAt = label.KnownAt;
        return found && label.IsPositive;
    }
}
