using System.Text;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Transactions;

public sealed class StreamSchemaTests
{
    [Fact]
    public void ShippedStream_IsRead()
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(Root(), "streams", "card-payments", "schema.json"));
        StreamSchema schema = StreamSchema.Read(bytes, "schema.json", out IReadOnlyList<CodedError> errors)!;

        Assert.Empty(errors);
        Assert.Equal("card-payments", schema.Name);
        Assert.Equal(["transaction_id", "time", "customer_id", "terminal_id", "amount"], schema.Fields.Select(field => field.Name));
        Assert.Equal("transaction_id", schema.EventIdField.Name);
        Assert.Equal("time", schema.EventTimeField.Name);
        Assert.Equal(0, schema.SubjectKey);
        Assert.Equal(7 * Micro.Day, schema.LabelDelay);
        Assert.Equal(new LabelRule(7 * Micro.Day, true, "transaction_id", "fraud", null), schema.Labels);
        Assert.Equal(new AmountField(0, "EUR"), schema.Amount);
        Assert.Equal(new RecordedStream(null, "transactions.csv.gz", "labels.csv"), schema.Recorded);
        Assert.Equal("card-fraud@1", schema.Model);
        Assert.Equal(new EvaluationSplit(new(2018, 7, 25), new(2018, 7, 31), new(2018, 8, 8), new(2018, 8, 14), 7 * Micro.Day, 0, 100), schema.Evaluation);
        Assert.Equal(Sha256Digest.Of(bytes), schema.Digest);
        Assert.Contains("Handbook", schema.Description);
    }

    // What is replaced in the wide stream's definition, and what is said then.
    [Theory]
    [InlineData("\"stream\": \"wide\"", "\"stream\": \"Wide Stream\"", "stream must be")]
    [InlineData("\"stream\": \"wide\"", "\"stream\": \"\"", "stream must be")]
    [InlineData("\"stream\": \"wide\",", "", "stream is missing")]
    [InlineData("\"version\": 3", "\"version\": \"3\"", "version must be a whole number")]
    [InlineData("\"version\": 3", "\"version\": 3, \"graec\": \"1d\"", "does not know 'graec'")]
    [InlineData("\"version\": 3", "\"version\": 3, \"grace\": \"1 day\"", "grace must be a duration")]
    [InlineData("\"version\": 3", "\"version\": 3, \"unknownFields\": \"drop\"", "unknownFields must be one of reject, ignore")]
    [InlineData("\"version\": 3", "\"version\": 3, \"version\": 4", "a member twice")]
    [InlineData("\"version\": 3", "\"version\": 3, \"model\": \"m\"", "model must be name@version")]
    [InlineData("\"version\": 3", "\"version\": 3, \"labels\": {\"delay\": \"7d\", \"id\": \"id\"}", "labels.value is missing")]
    [InlineData("\"version\": 3", "\"version\": 3, \"recorded\": {\"transactions\": \"../x.csv\"}", "without a path")]
    [InlineData("\"version\": 3", "\"version\": 3, \"amount\": {\"field\": \"note\", \"currency\": \"EUR\"}", "amount.field must name a number")]
    [InlineData("\"version\": 3", "\"version\": 3, \"amount\": {\"field\": \"amount\", \"currency\": \"euro\"}", "amount.currency must be an ISO 4217")]
    [InlineData("\"version\": 3", "\"version\": 3, \"evaluation\": {\"trainFrom\": \"2018-07-25\", \"trainTo\": \"2018-07-24\", \"testFrom\": \"2018-08-08\", \"testTo\": \"2018-08-14\", \"card\": \"account\"}", "the days must be in the order")]
    [InlineData("\"version\": 3", "\"version\": 3, \"evaluation\": {\"trainFrom\": \"25.7.2018\", \"trainTo\": \"2018-07-31\", \"testFrom\": \"2018-08-08\", \"testTo\": \"2018-08-14\", \"card\": \"account\"}", "evaluation.trainFrom must be a day")]
    [InlineData("\"subject\": \"account\"", "\"subject\": \"amount\"", "subject must name a key or pan field; they are account, shop, card")]
    [InlineData("\"name\": \"note\"", "\"name\": \"amount\"", "'amount' is declared twice")]
    [InlineData("\"name\": \"note\"", "\"name\": \"a b\"", "a name has 1 to 64")]
    [InlineData("\"type\": \"text\"", "\"type\": \"string\"", "field 'note' type must be one of id, timestamp, key, pan, number, integer, boolean, category, currency, text")]
    [InlineData("\"type\": \"text\"", "\"type\": \"9\"", "field 'note' type must be one of")]
    [InlineData("\"type\": \"text\"", "\"type\": \"text\", \"min\": 3", "min is for number")]
    [InlineData("\"maxLength\": 200", "\"maxLength\": 0", "maxLength must be a whole number from 1")]
    [InlineData("\"max\": 48", "\"max\": 0", "min is above max")]
    [InlineData(", \"values\": [\"pos\", \"ecommerce\"]", "", "a category must list its values")]
    [InlineData("[\"pos\", \"ecommerce\"]", "[\"pos\", \"pos\"]", "values[1]")]
    [InlineData("\"role\": \"eventTime\"", "\"required\": true", "exactly one field must have the role eventTime; 0 have it and 2 are of its type")]
    [InlineData("\"type\": \"id\"", "\"type\": \"text\"", "exactly one field must have the role eventId")]
    [InlineData("\"type\": \"id\"", "\"type\": \"id\", \"required\": false", "are required")]
    [InlineData("\"online\", \"type\"", "\"online\", \"typ\"", "fields[7].type is missing")]
    [InlineData("\"fields\": [", "\"fields\": [ 5,", "fields[0] must be an object")]
    [InlineData("\"stream\"", "stream", "not JSON")]
    public void WrongDefinition_IsNamed(string part, string instead, string message)
    {
        string json = WideStream.Json.Replace(part, instead);
        Assert.NotEqual(WideStream.Json, json);

        Assert.Null(StreamSchema.Read(Encoding.UTF8.GetBytes(json), "streams/wide/schema.json", out IReadOnlyList<CodedError> errors));

        Assert.Contains(errors, error => error.Message.Contains(message) && error.Message.StartsWith("streams/wide/schema.json: ", StringComparison.Ordinal));
        Assert.All(errors, error => Assert.Contains(error.Code, (ErrorCode[])[ErrorCode.SchemaInvalid, ErrorCode.ParseError]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"stream\":\"x\"}")]
    [InlineData("{\"stream\":\"\",\"version\":1,\"fields\":[]}")]
    [InlineData("{\"stream\":\"\\ud800\",\"version\":1,\"fields\":[]}")]
    public void TextThatIsNoDefinition_IsRefused(string json) =>
        Assert.Null(StreamSchema.Read(Encoding.UTF8.GetBytes(json), "x", out _));

    [Fact]
    public void TooLargeDefinition_IsRefused()
    {
        Assert.Null(StreamSchema.Read(new byte[Limits.SchemaSizeMax + 1], "x", out IReadOnlyList<CodedError> errors));
        Assert.Equal(ErrorCode.TooLarge, errors.Single().Code);
    }

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Risk.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No Risk.sln above {AppContext.BaseDirectory}.");
    }
}
