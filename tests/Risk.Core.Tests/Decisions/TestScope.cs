using Risk.Core.Decisions;

namespace Risk.Core.Tests.Decisions;

/// <summary>Names by their place in three lists.</summary>
internal sealed class TestScope(string[] numbers, string[] texts, string[] features) : IConditionScope
{
    public bool TryNumberField(string name, out int index) => (index = Array.IndexOf(numbers, name)) >= 0;
    public bool TryTextField(string name, out int index) => (index = Array.IndexOf(texts, name)) >= 0;
    public bool TryFeature(string name, out int index) => (index = Array.IndexOf(features, name)) >= 0;
}
