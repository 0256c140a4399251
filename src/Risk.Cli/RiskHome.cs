using Risk.Cli.CommandLine;

namespace Risk.Cli;

/// <summary>
/// Where <c>models/</c> and <c>streams/</c> lie: RISK_HOME where it is set (<c>./risk</c> sets it), else the nearest folder
/// that has both, upward from the current directory and then from the program.
/// </summary>
internal static class RiskHome
{
    public const string Variable = "RISK_HOME";

    public static string Find()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            return IsHome(given) ? Path.GetFullPath(given) : throw CommandFailure.BadInput("HOME_INVALID", $"{Variable} names {given}, which has no models/ and streams/; mend or unset it.");
        }

        return Upward(Directory.GetCurrentDirectory()) ?? Upward(AppContext.BaseDirectory)
            ?? throw CommandFailure.BadInput("HOME_NOT_FOUND", $"There is no folder with models/ and streams/ here or above; set {Variable} to the one that has them.");
    }

    private static string? Upward(string from)
    {
        for (DirectoryInfo? folder = new(from); folder is not null; folder = folder.Parent)
        {
            if (IsHome(folder.FullName))
            {
                return folder.FullName;
            }
        }

        return null;
    }

    private static bool IsHome(string folder) => Directory.Exists(Path.Combine(folder, "models")) && Directory.Exists(Path.Combine(folder, "streams"));
}
