namespace Risk.Core.Decisions;

/// <summary>
/// One thing wrong in a definition file (policy, feature catalog, price book). Definitions are input, so a fault in one
/// is a value with a stable code, and a reader collects all of them before it gives up.
/// </summary>
/// <param name="Code">Stable, upper case, e.g. <c>CONDITION_NAME_UNKNOWN</c>.</param>
/// <param name="File">The file as the caller named it.</param>
/// <param name="Path">JSON path of the value that is wrong, e.g. <c>$.rules[2].when.all[0].op</c>.</param>
/// <param name="Sentence">What is wrong and what would be right, with the values.</param>
public readonly record struct DefinitionError(string Code, string File, string Path, string Sentence)
{
    /// <summary>The shape of every error line: <c>CODE: file $.path: sentence</c>.</summary>
    public override string ToString() => $"{Code}: {File} {Path}: {Sentence}";
}
