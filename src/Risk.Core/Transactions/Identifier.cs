namespace Risk.Core.Transactions;

/// <summary>Which texts may name something.</summary>
internal static class Identifier
{
}
