using System.CommandLine;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Decisions;
using Risk.Core.Devices;

namespace Risk.Cli.Accelerators;

/// <summary><c>--config FILE</c>: a file with the member <c>accelerators</c>; the configuration of <c>risk serve</c> is one.</summary>
internal static class AcceleratorFile
{
    public static Option<string?> Option() => new("--accelerators") { Description = "A file with the member \"accelerators\", such as the configuration of risk serve.", HelpName = "FILE" };

    /// <summary>What the file names; nothing where no file is given.</summary>
    /// <exception cref="CommandFailure">The file cannot be read, or something in it is wrong: every fault with its JSON path.</exception>
    public static IReadOnlyList<AcceleratorConfiguration> Read(string? path)
    {
        if (path is null) { return []; }
        try
        {
            byte[] bytes = File.ReadAllBytes(path);
            using JsonDocument document = JsonDocument.Parse(bytes, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false, MaxDepth = 64 });
            List<DefinitionError> errors = [];
            if (document.RootElement.ValueKind == JsonValueKind.Object && !document.RootElement.TryGetProperty("accelerators", out _)) { return []; }
            JsonElement list = document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.GetProperty("accelerators") : document.RootElement;
            return AcceleratorConfiguration.TryRead(list, path, errors, out IReadOnlyList<AcceleratorConfiguration>? accelerators)
                ? accelerators
                : throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);
        }
        catch (JsonException e)
        {
            throw CommandFailure.BadInput("ACCELERATOR_INVALID", $"{path} is not JSON: {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CommandFailure.BadInput("ACCELERATOR_INVALID", $"{path} cannot be read: {e.Message}");
        }
    }
}
