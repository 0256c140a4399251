using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Decisions;

internal static class TestRow
{
    public static ConditionInputs Inputs(double[] numbers, double[] features, string[] texts)
    {
        TransactionBatch batch = new() { Texts = [.. texts.Select(Encoding.UTF8.GetBytes)] };
        return new ConditionInputs(batch, 0, numbers, features);
    }
}
