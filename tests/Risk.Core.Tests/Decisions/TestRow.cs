using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Decisions;

/// <summary>One row of a batch whose texts are given; numbers and features are given beside it, as the scoring path does.</summary>
internal static class TestRow
{
    private static readonly StreamSchema s_schema = Schema();

    public static ConditionInputs Inputs(double[] numbers, double[] features, params string[] texts)
    {
        TransactionBatch batch = new(s_schema, 1);
        batch.Begin();
        for (int text = 0; text < texts.Length; text++)
            batch.PutText(text, Encoding.UTF8.GetBytes(texts[text]));
        batch.Commit(sourceOffset: 1, ingestMicros: 0, fingerprint: 0);
        return new ConditionInputs(batch, 0, numbers, features);
    }

    private static StreamSchema Schema()
    {
        byte[] json = Encoding.UTF8.GetBytes("""
            { "stream": "test", "version": 1, "subject": "country",
              "fields": [
                { "name": "terminal_id", "type": "id" },
                { "name": "country", "type": "key" },
                { "name": "time", "type": "timestamp" } ] }
            """);
        return StreamSchema.Read(json, "schema.json", out IReadOnlyList<CodedError> errors) ?? throw new InvalidOperationException(string.Join('\n', errors));
    }
}
