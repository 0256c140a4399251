using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Risk.Core.Decisions;

/// <summary>
/// A question about one transaction that is answered yes or no: the one grammar of policy rules and of the filters of
/// the feature catalog.
/// <code>
/// {"field": "amount", "op": ">", "value": 100}               number field: &lt; &lt;= > >= == != in
/// {"feature": "is_night", "op": "==", "value": 1}            feature: the same
/// {"field": "terminal_id", "op": "in", "values": ["a","b"]}  text field: == != in
/// {"feature": "is_night", "op": "is_missing"}                both
/// {"all": [ … ]}   {"any": [ … ]}   {"not": { … }}
/// </code>
/// A missing value (NaN, empty text) makes every comparison false, <c>!=</c> included; only <c>is_missing</c> is then
/// true. <c>not</c> is plain negation of the answer, so <c>{"not": amount > 100}</c> is true of a missing amount.
/// Compiled to tests with two jumps each, so evaluation needs no stack, allocates nothing and stops at the first test
/// that settles the answer. Immutable, safe to share.
/// </summary>
public sealed class Condition
{
    /// <summary>Nested all/any/not: rules beyond this are no longer readable by the people who answer for them.</summary>
    public const int DepthMax = 16;
    /// <summary>Objects in one condition, groups included.</summary>
    public const int NodeCountMax = 256;
    /// <summary>Values of one <c>in</c>.</summary>
    public const int ValueCountMax = 1024;
    /// <summary>UTF-8 bytes of one text value.</summary>
    public const int TextBytesMax = 256;

    internal const int AnswerTrue = -1;
    internal const int AnswerFalse = -2;

    private readonly ConditionTest[] _tests;
    private readonly double[][] _numberSets;
    private readonly byte[][][] _textSets;
    private readonly int[] _featureIndices;
    private readonly string _text;

    internal Condition(ConditionTest[] tests, double[][] numberSets, byte[][][] textSets, string text)
    {
        _tests = tests;
        _numberSets = numberSets;
        _textSets = textSets;
        _text = text;
        _featureIndices = [.. tests.Where(test => test.Source == ConditionSource.Feature).Select(test => test.Index).Distinct().Order()];
    }

    /// <summary>Indices of the features it reads, ascending, each once.</summary>
    public ReadOnlySpan<int> FeatureIndices => _featureIndices;

    /// <summary>
    /// Reads a condition. On false, <paramref name="errors"/> has at least one more entry: <c>CONDITION_INVALID</c>
    /// (shape, operator, value), <c>CONDITION_NAME_UNKNOWN</c> (no such field or feature), <c>CONDITION_TOO_LARGE</c>
    /// (a bound of this class).
    /// </summary>
    /// <param name="element">The JSON object of the condition.</param>
    /// <param name="file">For the errors: the file it comes from.</param>
    /// <param name="path">For the errors: its JSON path in that file, e.g. <c>$.rules[2].when</c>.</param>
    public static bool TryParse(JsonElement element, string file, string path, IConditionScope scope, ICollection<DefinitionError> errors, [NotNullWhen(true)] out Condition? condition) =>
        new ConditionParser(file, scope, errors).TryParse(element, path, out condition);

    public bool Evaluate(in ConditionInputs inputs)
    {
        ConditionTest[] tests = _tests;
        int next = 0;
        do
        {
            ref readonly ConditionTest test = ref tests[next];
            bool holds = test.Source == ConditionSource.Text
                ? HoldsForText(in test, inputs.Text(test.Index))
                : HoldsForNumber(in test, test.Source == ConditionSource.Feature ? inputs.Features[test.Index] : inputs.Numbers[test.Index]);
            next = holds ? test.OnTrue : test.OnFalse;
        }
        while (next >= 0);
        return next == AnswerTrue;
    }

    /// <summary>The condition as people read it: <c>amount &gt; 1000 and not (is_night == 1)</c>.</summary>
    public override string ToString() => _text;

    private bool HoldsForNumber(in ConditionTest test, double value) => test.Operator switch
    {
        ConditionOperator.Less => value < test.Value,
        ConditionOperator.LessOrEqual => value <= test.Value,
        ConditionOperator.Greater => value > test.Value,
        ConditionOperator.GreaterOrEqual => value >= test.Value,
        ConditionOperator.Equal => value == test.Value,
        ConditionOperator.NotEqual => value < test.Value || value > test.Value, // not "!=": IEEE 754 makes NaN != x true
        ConditionOperator.In => _numberSets[test.Set].AsSpan().BinarySearch(value) >= 0, // NaN sorts before every number: never found
        _ => double.IsNaN(value),
    };

    private bool HoldsForText(in ConditionTest test, ReadOnlySpan<byte> value) => test.Operator switch
    {
        ConditionOperator.IsMissing => value.IsEmpty,
        ConditionOperator.NotEqual => !value.IsEmpty && !Contains(_textSets[test.Set], value),
        _ => Contains(_textSets[test.Set], value), // == is a set of one; no set holds the empty text
    };

    private static bool Contains(byte[][] sorted, ReadOnlySpan<byte> value)
    {
        int low = 0, high = sorted.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = value.SequenceCompareTo(sorted[middle]);
            if (order == 0)
                return true;
            if (order < 0)
                high = middle - 1;
            else
                low = middle + 1;
        }
        return false;
    }
}

internal enum ConditionSource : byte { Number, Feature, Text }

internal enum ConditionOperator : byte { Less, LessOrEqual, Greater, GreaterOrEqual, Equal, NotEqual, In, IsMissing }

/// <summary>One comparison, and where to go with its answer: the index of the next test, or <see cref="Condition.AnswerTrue"/>, <see cref="Condition.AnswerFalse"/>.</summary>
internal readonly record struct ConditionTest(
    ConditionSource Source, ConditionOperator Operator, int Index, double Value, int Set, int OnTrue, int OnFalse);
