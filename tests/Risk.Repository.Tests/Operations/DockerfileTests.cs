namespace Risk.Repository.Tests.Operations;

/// <summary>ops/docker/Dockerfile: what can be told without building it.</summary>
public sealed class DockerfileTests
{
    private static readonly string[][] s_instructions =
    [
        .. File.ReadAllText(Checkout.FullPath("ops/docker/Dockerfile")).Replace("\\\n", "", StringComparison.Ordinal).Split('\n')
            .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
    ];

    [Fact]
    public void EveryBaseImage_NamesItsVersion_AndTheLastOneCanServeHttp()
    {
        string[] images = [.. Of("FROM").Select(words => words[1])];

        Assert.All(images, image => Assert.Matches(Image.Pinned(), image));
        Assert.Contains("/aspnet:", images[^1]);
        Assert.EndsWith("USER $APP_UID", string.Join('\n', s_instructions.Where(words => words[0] == "USER").Select(words => string.Join(' ', words))));
    }

    [Fact]
    public void EverythingCopied_IsInTheCheckout_AndWhatTheProgramsReadIsCopied()
    {
        string[] sources = [.. Of("COPY").Where(words => !words[1].StartsWith("--from", StringComparison.Ordinal)).Select(words => words[^2])];

        Assert.All(sources, source => Assert.True(Path.Exists(Checkout.FullPath(source)), $"{source} is copied into the image and does not exist"));
        // What RISK_HOME must have.
        Assert.Superset(new HashSet<string> { "models", "streams", "ops/prices" }, sources.ToHashSet());
    }

    private static IEnumerable<string[]> Of(string instruction) => s_instructions.Where(words => words[0] == instruction);
}
