namespace Risk.Core.Decisions;

/// <summary>The names a condition may use, and where each one is found in <see cref="ConditionInputs"/>.</summary>
public interface IConditionScope
{
    /// <summary>A number field of the stream: its index in <see cref="ConditionInputs.Numbers"/>.</summary>
    bool TryNumberField(string name, out int index);

    /// <summary>A text-like field of the stream: its index for <c>TransactionBatch.Text</c>.</summary>
    bool TryTextField(string name, out int index);

    /// <summary>A feature of the catalog: its index in <see cref="ConditionInputs.Features"/>. A scope without features answers false.</summary>
    bool TryFeature(string name, out int index);
}
