using System.Text;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Transactions;

/// <summary>Every class of bad input as a table: field, CSV cell, JSON value, code and the field it is said of.</summary>
public sealed class BadRecordTests
{
    // In order of precedence. `-` as a cell: this format cannot say it. `∅`: the JSON member is left out.
    private const string Table = """
        # not to be read at all
        note     | ‹NUL›                     | "‹NUL›"                     | PARSE_ERROR
        note     | ‹FF›                      | "‹FF›"                      | PARSE_ERROR
        account  | A‹FF›                     | "A‹FF›"                     | PARSE_ERROR
        note     | "open                     | "open                       | PARSE_ERROR
        note     | "a"b                      | "a"b                        | PARSE_ERROR
        note     | a"b                       | 'a'                         | PARSE_ERROR
        note     | -                         | "\ud83d"                    | PARSE_ERROR
        note     | -                         | "\ude00"                    | PARSE_ERROR
        note     | -                         | "\ud83d \ude00"             | PARSE_ERROR
        note     | -                         | "\ude00\ud83d"              | PARSE_ERROR
        note     | -                         | "\u0000"                    | PARSE_ERROR
        note     | -                         | "\q"                        | PARSE_ERROR
        note     | -                         | "\u12"                      | PARSE_ERROR
        amount   | -                         | 012                         | PARSE_ERROR
        amount   | -                         | +1                          | PARSE_ERROR
        amount   | -                         | 0x10                        | PARSE_ERROR
        amount   | -                         | 1,                          | PARSE_ERROR
        amount   | -                         | .5                          | PARSE_ERROR

        # of the wrong shape
        note     | a,b                       | "a", "b": 1                 | SCHEMA_INVALID
        opened   | 2020-01-01T00:00:00Z,x    | null, "extra": {"deep":[1]} | SCHEMA_INVALID
        amount   | -                         | 1, "amount": 2              | SCHEMA_INVALID amount
        amount   | -                         | 1, "\u0061mount": 2         | SCHEMA_INVALID amount
        amount   | -                         | "52.3"                      | SCHEMA_INVALID amount
        amount   | -                         | [1]                         | SCHEMA_INVALID amount
        amount   | -                         | {"value": 1}                | SCHEMA_INVALID amount
        amount   | -                         | true                        | SCHEMA_INVALID amount
        amount   |                           | null                        | SCHEMA_INVALID amount
        amount   |                           | ∅                           | SCHEMA_INVALID amount
        time     |                           | ∅                           | SCHEMA_INVALID time
        id       | -                         | ∅                           | SCHEMA_INVALID id
        channel  |                           | ∅                           | SCHEMA_INVALID channel
        channel  | -                         | 5                           | SCHEMA_INVALID channel
        note     | -                         | 5                           | SCHEMA_INVALID note

        # a card number where none may be
        note     | card 4111111111111111 ok  | "card 4111111111111111 ok"  | PAN_FORBIDDEN note
        note     | 4111-1111-1111-1111       | "4111-1111-1111-1111"       | PAN_FORBIDDEN note
        note     | 5500 0000 0000 0004!      | "5500 0000 0000 0004!"      | PAN_FORBIDDEN note
        note     | amex 3782 822463 10005    | "amex 3782 822463 10005"    | PAN_FORBIDDEN note
        note     | pan4111111111111111x      | "pan4111111111111111x"      | PAN_FORBIDDEN note
        note     | no 12 4111 1111 1111 1111 | "no 12 4111 1111 1111 1111" | PAN_FORBIDDEN note
        note     | -                         | "4111\u0031111\u00311111111" | PAN_FORBIDDEN note
        account  | 4111111111111111          | "4111111111111111"          | PAN_FORBIDDEN account
        account  | 4111111111111111          | 4111111111111111            | PAN_FORBIDDEN account
        id       | card-4111111111111111     | "card-4111111111111111"     | PAN_FORBIDDEN id
        id       | 4111-1111-1111-1111       | "4111-1111-1111-1111"       | PAN_FORBIDDEN id

        # not a name
        id       |                           | ""                          | ID_INVALID id
        account  |                           | ""                          | ID_INVALID account
        account  | ""                        | ""                          | ID_INVALID account
        account  | ␠A                        | " A"                        | ID_INVALID account
        account  | A␠                        | "A "                        | ID_INVALID account
        account  | А-77                      | "А-77"                      | ID_INVALID account
        account  | Ａ                        | "Ａ"                        | ID_INVALID account
        account  | A‍B                        | "A‍B"                        | ID_INVALID account
        account  | -                         | "A\u200bB"                  | ID_INVALID account
        account  | -                         | "A\nB"                      | ID_INVALID account
        account  | A␉B                       | "A\tB"                      | ID_INVALID account
        account  | -                         | 1.0                         | ID_INVALID account
        account  | -                         | -1                          | ID_INVALID account
        account  | -                         | 1e3                         | ID_INVALID account
        shop     | -                         | "Cafe\u0301"                | ID_INVALID shop
        shop     | Саfé                      | "Саfé"                      | ID_INVALID shop
        shop     | -                         | "\u212b"                    | ID_INVALID shop
        card     | 4111 1111 1111 1112       | "4111 1111 1111 1112"       | ID_INVALID card
        card     | 41111111                  | "41111111"                  | ID_INVALID card
        card     | 4111  111111111111        | "4111  111111111111"        | ID_INVALID card
        card     | x4111111111111111         | "x4111111111111111"         | ID_INVALID card
        card     | 41111111111111111111      | "41111111111111111111"      | ID_INVALID card

        # not a time
        time     | 2025-12-31T10:00:00       | "2025-12-31T10:00:00"       | TS_INVALID time
        time     | 2025-12-31                | "2025-12-31"                | TS_INVALID time
        time     | 1767225600                | 1767225600                  | TS_INVALID time
        time     | 1767225600000             | 1767225600000               | TS_INVALID time
        time     | 1767225600000             | "1767225600000"             | TS_INVALID time
        time     | 2025-02-29T10:00:00Z      | "2025-02-29T10:00:00Z"      | TS_INVALID time
        time     | 2025-13-01T10:00:00Z      | "2025-13-01T10:00:00Z"      | TS_INVALID time
        time     | 2025-12-31T24:00:00Z      | "2025-12-31T24:00:00Z"      | TS_INVALID time
        time     | 2025-12-31T10:00:60Z      | "2025-12-31T10:00:60Z"      | TS_INVALID time
        time     | 1970-01-01T00:00:00Z      | "1970-01-01T00:00:00Z"      | TS_INVALID time
        time     | 1970-12-31T23:59:59Z      | "1970-12-31T23:59:59Z"      | TS_INVALID time
        time     | yesterday                 | "yesterday"                 | TS_INVALID time
        opened   | 2020-01-01                | "2020-01-01"                | TS_INVALID opened

        # not a number
        amount   | NaN                       | NaN                         | NUMBER_INVALID amount
        amount   | NaN                       | "NaN"                       | NUMBER_INVALID amount
        amount   | Infinity                  | Infinity                    | NUMBER_INVALID amount
        amount   | -Infinity                 | -Infinity                   | NUMBER_INVALID amount
        amount   | inf                       | "-inf"                      | NUMBER_INVALID amount
        amount   | 1e400                     | 1e400                       | NUMBER_INVALID amount
        amount   | -1e400                    | -1e400                      | NUMBER_INVALID amount
        amount   | 1e-400                    | 1e-400                      | NUMBER_INVALID amount
        amount   | -0                        | -0                          | NUMBER_INVALID amount
        amount   | -0.00                     | -0.00                       | NUMBER_INVALID amount
        amount   | 79228162514264337593543950336 | 79228162514264337593543950336 | NUMBER_INVALID amount
        amount   | 0x10                      | 1e99999                     | NUMBER_INVALID amount
        amount   | 1.234.5                   | -0e5                        | NUMBER_INVALID amount
        amount   | "1,5"                     | -0.0e-3                     | NUMBER_INVALID amount
        amount   | 012                       | -0E0                        | NUMBER_INVALID amount
        amount   | =1+1                      | 1e29                        | NUMBER_INVALID amount
        amount   | ␠1                        | 1e308                       | NUMBER_INVALID amount
        parts    | 1.5                       | 1.5                         | NUMBER_INVALID parts
        parts    | 9007199254740993          | 9007199254740994            | NUMBER_INVALID parts

        # not allowed
        amount   | 0                         | 0                           | VALUE_RANGE amount
        amount   | 0.00                      | 0.00                        | VALUE_RANGE amount
        amount   | -5                        | -5                          | VALUE_RANGE amount
        amount   | 1000000.01                | 1000000.01                  | VALUE_RANGE amount
        parts    | 49                        | 49                          | VALUE_RANGE parts
        online   | 2                         | 2                           | VALUE_RANGE online
        online   | yes                       | 0.5                         | VALUE_RANGE online
        channel  | POS                       | "POS"                       | VALUE_RANGE channel
        currency | eur                       | "eur"                       | VALUE_RANGE currency
        currency | EURO                      | "EURO"                      | VALUE_RANGE currency
        currency | XXX                       | "XXX"                       | VALUE_RANGE currency

        # ahead of its time
        time     | 2026-01-02T00:00:01Z      | "2026-01-02T00:00:01Z"      | TS_FUTURE time
        time     | 9999-12-31T23:59:59Z      | "9999-12-31T23:59:59Z"      | TS_FUTURE time
        """;

    public static TheoryData<string, string, string, string> Faults(bool csv)
    {
        var rows = new TheoryData<string, string, string, string>();
        foreach (string line in Table.Split('\n').Where(line => line.Contains('|')))
        {
            string[] cells = [.. line.Split('|').Select(cell => cell.Trim())];
            if (cells[csv ? 1 : 2] != "-")
            {
                rows.Add(cells[0], cells[csv ? 1 : 2].Replace('␠', ' ').Replace('␉', '\t'), cells[3].Split(' ')[0], cells[3].Split(' ').ElementAtOrDefault(1) ?? "");
            }
        }

        return rows;
    }

    [Theory]
    [MemberData(nameof(Faults), true)]
    public void CsvRecord_WithAFault_HasItsCode(string field, string cell, string code, string where) =>
        CheckFault(csv: true, WideStream.Record(true, (field, cell, "")), code, where);

    [Theory]
    [MemberData(nameof(Faults), false)]
    public void JsonRecord_WithAFault_HasItsCode(string field, string value, string code, string where) =>
        CheckFault(csv: false, WideStream.Record(false, (field, "", value == "∅" ? "" : value)), code, where);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WholeRecord_ThatCannotBeRead_HasItsCode(bool csv)
    {
        string good = WideStream.Record(csv);
        CheckFault(csv, "‹BOM›" + good, "PARSE_ERROR", "");
        CheckFault(csv, good.Replace("two loaves", new string('x', Limits.RecordSizeMax)), "TOO_LARGE", "");
        CheckFault(csv, good.Replace("two loaves", new string('x', 201)), "VALUE_RANGE", "note");
        CheckFault(csv, good.Replace("A-77", new string('x', 10_000)), "ID_INVALID", "account");
        CheckFault(csv, good.Replace("tx-1", new string('x', Limits.IdSizeMax + 1)), "ID_INVALID", "id");
    }

    [Theory]
    [InlineData("", "PARSE_ERROR")]
    [InlineData("{", "PARSE_ERROR")]
    [InlineData("{\"id\": \"tx-1\", \"amou", "PARSE_ERROR")]
    [InlineData("{} {}", "PARSE_ERROR")]
    [InlineData("{} x", "PARSE_ERROR")]
    [InlineData("[]", "SCHEMA_INVALID")]
    [InlineData("null", "SCHEMA_INVALID")]
    [InlineData("{}", "SCHEMA_INVALID")]
    [InlineData("{\"4111111111111111\": 1}", "SCHEMA_INVALID")]
    [InlineData("{\"id\": [[[[[[[[[[1]]]]]]]]]]}", "TOO_LARGE")]
    [InlineData("{\"x\": {\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":1}}}}}}}}}", "TOO_LARGE")]
    public void JsonText_ThatIsNoRecord_HasItsCode(string json, string code) => CheckFault(csv: false, json, code, null);

    [Fact]
    public void DepthBomb_IsTooLarge() => CheckFault(csv: false, new string('[', 60_000), "TOO_LARGE", "");

    [Fact]
    public void CsvRecord_WithTooFewColumns_NamesTheFirstMissing()
    {
        CheckFault(csv: true, "tx-1,2025-12-31T10:00:00Z,A-77", "SCHEMA_INVALID", "shop");
        CheckFault(csv: true, WideStream.Record(true) + ",more", "SCHEMA_INVALID", "#13");
    }

    // A fault of each code, each in a field of its own (the two of the time excepted), in order of precedence.
    private static readonly (string Code, string Field, string Csv, string Json)[] Precedence =
    [
        ("TOO_LARGE", "parts", new string('1', Limits.RecordSizeMax), new string('1', Limits.RecordSizeMax)),
        ("PARSE_ERROR", "channel", "‹FF›", "\"‹FF›\""),
        ("SCHEMA_INVALID", "opened", "x,y", "null, \"unknown\": 1"),
        ("PAN_FORBIDDEN", "note", WideStream.Card, $"\"{WideStream.Card}\""),
        ("ID_INVALID", "account", "А", "\"А\""),
        ("TS_INVALID", "time", "now", "\"now\""),
        ("NUMBER_INVALID", "amount", "NaN", "-0"),
        ("VALUE_RANGE", "currency", "???", "\"???\""),
        ("TS_FUTURE", "time", "9999-01-01T00:00:00Z", "\"9999-01-01T00:00:00Z\""),
    ];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void OfTwoFaults_TheOneThatComesFirstInPrecedence_IsSaid(bool csv)
    {
        for (int first = 0; first < Precedence.Length; first++)
        {
            for (int second = first; second < Precedence.Length; second++)
            {
                (string code, string field, string cell, string json) = Precedence[first];
                (_, string otherField, string otherCell, string otherJson) = Precedence[second];
                CheckFault(csv, WideStream.Record(csv, (field, cell, json), (otherField, otherCell, otherJson)), code, null);
            }
        }

        Assert.Equal(Precedence.Select(fault => fault.Code), Enum.GetValues<ErrorCode>().Where(code => code is > ErrorCode.None and < ErrorCode.IdConflict).Select(code => code.Text()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void InjectionText_IsInert(bool csv)
    {
        foreach (string text in (string[])["'; DROP TABLE decisions;--", "=cmd|' /C calc'!A0", "@SUM(A1)", "<script>alert(1)</script>", "— tree 7 AAAA=", "${jndi:ldap://x}", "../../etc/passwd"])
        {
            var batch = new TransactionBatch(WideStream.Schema, 1);
            ErrorCode code = WideStream.Parser(csv).Parse(Encoding.UTF8.GetBytes(WideStream.Record(csv, ("note", text, $"\"{text}\""))), 1, WideStream.Now, batch, out _);

            Assert.Equal(ErrorCode.None, code);
            Assert.Equal(text, Encoding.UTF8.GetString(batch.Text(0, WideStream.Schema.TextFields.Single(field => field.Name == "note").TextIndex)));
        }
    }

    [Fact]
    public void UnknownName_IsGivenOnlyWhenItLooksLikeAName()
    {
        Assert.Equal("amuont", Reject(csv: false, WideStream.Record(false, ("opened", "", "null, \"amuont\": 1"))).Field);
        Assert.Equal("#13", Reject(csv: false, WideStream.Record(false, ("opened", "", "null, \"4111111111111111\": 1"))).Field);
        Assert.Equal("#13", Reject(csv: false, WideStream.Record(false, ("opened", "", "null, \"a b\": 1"))).Field);
    }

    [Fact]
    public void PayloadHash_IsKeyed_WhenTheRecordHoldsACardNumber()
    {
        byte[] open = Encoding.UTF8.GetBytes(WideStream.Record(true, ("card", "none", ""), ("amount", "-5", "")));
        Rejection plain = Reject(csv: true, Encoding.UTF8.GetString(open));
        Assert.False(plain.IsKeyed);
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(open)), plain.PayloadHash.ToString());

        byte[] withCard = Encoding.UTF8.GetBytes(WideStream.Record(true, ("amount", "-5", "")));
        Rejection keyed = Reject(csv: true, Encoding.UTF8.GetString(withCard));
        Assert.True(keyed.IsKeyed);
        Assert.NotEqual(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(withCard)), keyed.PayloadHash.ToString());
    }

    private static void CheckFault(bool csv, string record, string code, string? where)
    {
        Rejection rejection = Reject(csv, record);
        Assert.Equal(code, rejection.Code.Text());
        Assert.Equal(7, rejection.SourceOffset);
        if (where is { Length: > 0 })
        {
            Assert.Equal(where, rejection.Field);
        }

        Assert.DoesNotContain("4111", rejection.ToString());
    }

    private static Rejection Reject(bool csv, string record)
    {
        var batch = new TransactionBatch(WideStream.Schema, 2);
        TransactionParser parser = WideStream.Parser(csv);
        Assert.Equal(ErrorCode.None, parser.Parse(Encoding.UTF8.GetBytes(WideStream.Record(csv)), 6, WideStream.Now, batch, out _));
        byte[] before = batch.Canonical(0).ToArray();

        ErrorCode code = parser.Parse(WideStream.Bytes(record), 7, WideStream.Now, batch, out Rejection rejection);

        Assert.Equal(code, rejection.Code);
        Assert.Equal(1, batch.Count);
        Assert.Equal(before, batch.Canonical(0).ToArray());
        return rejection;
    }
}
