namespace Risk.Core.Transactions;

/// <summary>Canonical bytes back to rows.</summary>
public sealed class TransactionCodec
{
    internal const ushort AbsentText = 0xFFFF;
}
