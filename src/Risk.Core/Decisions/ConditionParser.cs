using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Risk.Core.Decisions;

/// <summary>Reads the JSON of a <see cref="Condition"/> into a tree, then lays the tree out as tests with jumps. Used once.</summary>
internal sealed class ConditionParser(string file, IConditionScope scope, ICollection<DefinitionError> errors)
{
    private readonly List<double[]> _numberSets = [];
    private readonly List<byte[][]> _textSets = [];
    private int _nodeCount;

    public bool TryParse(JsonElement element, string path, [NotNullWhen(true)] out Condition? condition)
    {
        condition = null;
        Node? root;
        try
        {
            root = Parse(element, path, depth: 1);
        }
        catch (InvalidOperationException) // JsonElement's word for a string with half a surrogate pair ("\ud800")
        {
            root = Fail("CONDITION_INVALID", path, "holds a text that is not Unicode");
        }
        if (root is null)
            return false;
        // Laid out from the last test to the first, because a jump only goes forward; turned around at the end.
        List<ConditionTest> tests = [];
        Lay(root, Condition.AnswerTrue, Condition.AnswerFalse, tests);
        int last = tests.Count - 1;
        int Turn(int target) => target < 0 ? target : last - target;
        ConditionTest[] turned = [.. tests.AsEnumerable().Reverse().Select(test => test with { OnTrue = Turn(test.OnTrue), OnFalse = Turn(test.OnFalse) })];
        condition = new Condition(turned, [.. _numberSets], [.. _textSets], Describe(root, outer: null));
        return true;
    }

    private Node? Parse(JsonElement element, string path, int depth)
    {
        if (depth > Condition.DepthMax)
            return Fail("CONDITION_TOO_LARGE", path, $"all, any and not may be nested {Condition.DepthMax} deep");
        if (++_nodeCount > Condition.NodeCountMax)
            return Fail("CONDITION_TOO_LARGE", path, $"a condition may have {Condition.NodeCountMax} parts");
        if (element.ValueKind != JsonValueKind.Object)
            return Fail("CONDITION_INVALID", path, "a condition is an object with all, any, not, field or feature");

        Dictionary<string, JsonElement> members = [];
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (!members.TryAdd(member.Name, member.Value))
                return Fail("CONDITION_INVALID", $"{path}.{member.Name}", "is given twice");
        }
        string? kind = members.Keys.FirstOrDefault(name => name is "all" or "any" or "not" or "field" or "feature");
        if (kind is null)
            return Fail("CONDITION_INVALID", path, "needs one of all, any, not, field or feature");
        string? stranger = members.Keys.FirstOrDefault(name => name != kind && !(kind is "field" or "feature" && name is "op" or "value" or "values"));
        if (stranger is not null)
            return Fail("CONDITION_INVALID", $"{path}.{stranger}", $"does not go with {kind}");

        return kind switch
        {
            "not" => Parse(members["not"], $"{path}.not", depth + 1) is { } part ? new Not(part) : null,
            "all" or "any" => ParseGroup(kind, members[kind], $"{path}.{kind}", depth),
            _ => ParseTest(kind, members, path),
        };
    }

    private Group? ParseGroup(string kind, JsonElement element, string path, int depth)
    {
        if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() == 0)
            return Fail<Group>("CONDITION_INVALID", path, "needs a list of at least one condition");
        List<Node> parts = [];
        bool whole = true;
        int index = 0;
        foreach (JsonElement item in element.EnumerateArray())
        {
            if (Parse(item, $"{path}[{index++}]", depth + 1) is { } part)
                parts.Add(part);
            else
                whole = false; // go on: all the errors at once
            if (_nodeCount > Condition.NodeCountMax)
                break;
        }
        return whole ? new Group(kind == "all", parts) : null;
    }

    private Leaf? ParseTest(string kind, Dictionary<string, JsonElement> members, string path)
    {
        if (members[kind].ValueKind != JsonValueKind.String)
            return Fail<Leaf>("CONDITION_INVALID", $"{path}.{kind}", "needs a name");
        string name = members[kind].GetString()!;
        if (!TryResolve(kind, name, out ConditionSource source, out int index))
            return Fail<Leaf>("CONDITION_NAME_UNKNOWN", $"{path}.{kind}", $"there is no {kind} named '{name}'");

        string? symbol = members.TryGetValue("op", out JsonElement op) && op.ValueKind == JsonValueKind.String ? op.GetString() : null;
        ConditionOperator? parsed = symbol switch
        {
            "<" => ConditionOperator.Less,
            "<=" => ConditionOperator.LessOrEqual,
            ">" => ConditionOperator.Greater,
            ">=" => ConditionOperator.GreaterOrEqual,
            "==" => ConditionOperator.Equal,
            "!=" => ConditionOperator.NotEqual,
            "in" => ConditionOperator.In,
            "is_missing" => ConditionOperator.IsMissing,
            _ => null,
        };
        if (parsed is not { } comparison)
            return Fail<Leaf>("CONDITION_INVALID", $"{path}.op", symbol is null ? "needs an operator: < <= > >= == != in is_missing" : $"'{symbol}' is none of < <= > >= == != in is_missing");
        if (source == ConditionSource.Text && comparison < ConditionOperator.Equal)
            return Fail<Leaf>("CONDITION_INVALID", $"{path}.op", $"'{name}' is a text: only ==, !=, in and is_missing apply");

        (string expected, string refused) = comparison == ConditionOperator.In ? ("values", "value") : ("value", "values");
        if (members.ContainsKey(refused) || (comparison == ConditionOperator.IsMissing && members.ContainsKey(expected)))
            return Fail<Leaf>("CONDITION_INVALID", $"{path}.{(members.ContainsKey(refused) ? refused : expected)}", $"does not go with {symbol}");
        if (comparison == ConditionOperator.IsMissing)
            return new Leaf(source, comparison, index, 0, -1, $"{name} is missing");
        if (!members.TryGetValue(expected, out JsonElement given))
            return Fail<Leaf>("CONDITION_INVALID", path, $"{symbol} needs {expected}");
        return comparison == ConditionOperator.In
            ? ParseIn(source, index, name, given, $"{path}.values")
            : ParseComparison(source, comparison, index, $"{name} {symbol}", given, $"{path}.value");
    }

    private bool TryResolve(string kind, string name, out ConditionSource source, out int index)
    {
        source = ConditionSource.Feature;
        if (kind == "feature")
            return scope.TryFeature(name, out index);
        source = ConditionSource.Number;
        if (scope.TryNumberField(name, out index))
            return true;
        source = ConditionSource.Text;
        return scope.TryTextField(name, out index);
    }

    private Leaf? ParseComparison(ConditionSource source, ConditionOperator comparison, int index, string subject, JsonElement given, string path)
    {
        if (source != ConditionSource.Text)
            return TryNumber(given, path, out double value) ? new Leaf(source, comparison, index, value, -1, $"{subject} {Describe(value)}") : null;
        if (!TryText(given, path, out byte[]? text))
            return null;
        _textSets.Add([text]);
        return new Leaf(source, comparison, index, 0, _textSets.Count - 1, $"{subject} '{Encoding.UTF8.GetString(text)}'");
    }

    private Leaf? ParseIn(ConditionSource source, int index, string name, JsonElement given, string path)
    {
        if (given.ValueKind != JsonValueKind.Array || given.GetArrayLength() == 0)
            return Fail<Leaf>("CONDITION_INVALID", path, "needs a list of at least one value");
        if (given.GetArrayLength() > Condition.ValueCountMax)
            return Fail<Leaf>("CONDITION_TOO_LARGE", path, $"in may have {Condition.ValueCountMax} values");

        List<double> numbers = [];
        List<byte[]> texts = [];
        int item = 0;
        foreach (JsonElement element in given.EnumerateArray())
        {
            string itemPath = $"{path}[{item++}]";
            if (source == ConditionSource.Text && TryText(element, itemPath, out byte[]? text))
                texts.Add(text);
            else if (source != ConditionSource.Text && TryNumber(element, itemPath, out double number))
                numbers.Add(number);
            else
                return null;
        }
        string described = source == ConditionSource.Text
            ? string.Join(", ", texts.Select(text => $"'{Encoding.UTF8.GetString(text)}'"))
            : string.Join(", ", numbers.Select(Describe));
        int set = source == ConditionSource.Text ? _textSets.Count : _numberSets.Count;
        if (source == ConditionSource.Text)
        {
            texts.Sort((left, right) => left.AsSpan().SequenceCompareTo(right));
            _textSets.Add([.. texts]);
        }
        else
        {
            numbers.Sort();
            _numberSets.Add([.. numbers]);
        }
        return new Leaf(source, ConditionOperator.In, index, 0, set, $"{name} in ({described})");
    }

    private bool TryNumber(JsonElement element, string path, out double value)
    {
        value = 0;
        if (element.ValueKind == JsonValueKind.Number && element.TryGetDouble(out value) && double.IsFinite(value))
            return true;
        Fail("CONDITION_INVALID", path, "needs a finite number");
        return false;
    }

    private bool TryText(JsonElement element, string path, [NotNullWhen(true)] out byte[]? text)
    {
        text = null;
        if (element.ValueKind != JsonValueKind.String || element.GetString() is not { Length: > 0 } given)
        {
            Fail("CONDITION_INVALID", path, "needs a text that is not empty (for no text there is is_missing)");
            return false;
        }
        text = Encoding.UTF8.GetBytes(given);
        if (text.Length <= Condition.TextBytesMax)
            return true;
        Fail("CONDITION_TOO_LARGE", path, $"a text may have {Condition.TextBytesMax} bytes, not {text.Length}");
        return false;
    }

    /// <summary>Appends the tests of <paramref name="node"/> behind those they jump to; returns the index where it starts.</summary>
    private static int Lay(Node node, int onTrue, int onFalse, List<ConditionTest> tests)
    {
        switch (node)
        {
            case Not not:
                return Lay(not.Part, onFalse, onTrue, tests);
            case Group group:
                int start = group.All ? onTrue : onFalse;
                for (int index = group.Parts.Count - 1; index >= 0; index--)
                    start = group.All ? Lay(group.Parts[index], start, onFalse, tests) : Lay(group.Parts[index], onTrue, start, tests);
                return start;
            default:
                Leaf leaf = (Leaf)node;
                tests.Add(new ConditionTest(leaf.Source, leaf.Operator, leaf.Index, leaf.Value, leaf.Set, onTrue, onFalse));
                return tests.Count - 1;
        }
    }

    private static string Describe(Node node, Group? outer) => node switch
    {
        Not not => $"not ({Describe(not.Part, null)})",
        Group { Parts.Count: 1 } single => Describe(single.Parts[0], outer),
        Group group when outer is null || outer.All == group.All => string.Join(group.All ? " and " : " or ", group.Parts.Select(part => Describe(part, group))),
        Group group => $"({Describe(group, null)})",
        _ => ((Leaf)node).Text,
    };

    private static string Describe(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private Node? Fail(string code, string path, string sentence) => Fail<Node>(code, path, sentence);

    private T? Fail<T>(string code, string path, string sentence) where T : class
    {
        errors.Add(new DefinitionError(code, file, path, sentence));
        return null;
    }

    private abstract record Node;
    private sealed record Not(Node Part) : Node;
    private sealed record Group(bool All, List<Node> Parts) : Node;
    private sealed record Leaf(ConditionSource Source, ConditionOperator Operator, int Index, double Value, int Set, string Text) : Node;
}
