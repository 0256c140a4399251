using System.CommandLine;

namespace Risk.Cli.CommandLine;

/// <summary>Options that mean the same in every verb that has them.</summary>
internal static class CommonOptions
{
    public const string OutDefault = ".risk/demo";
    public const string StreamDefault = "card-payments";

    /// <summary>On the root, so every verb takes it.</summary>
    public static Option<bool> Json { get; } = new("--json")
    {
        Description = "Write one JSON object to standard output, and nothing else there.",
        Recursive = true,
    };

    /// <summary><c>--out DIR</c>: the directory of a run; where it is read, the same default as where it is written.</summary>
    public static Option<string> Out(string description = "The run's directory.") => new("--out")
    {
        Description = description,
        HelpName = "DIR",
        DefaultValueFactory = _ => OutDefault,
    };

    /// <summary><c>--stream NAME|DIR</c>.</summary>
    public static Option<string> Stream() => new("--stream")
    {
        Description = "The stream's definition: a name below streams/, or a folder with schema.json, features.json and policy.json.",
        HelpName = "NAME|DIR",
        DefaultValueFactory = _ => StreamDefault,
    };
}
