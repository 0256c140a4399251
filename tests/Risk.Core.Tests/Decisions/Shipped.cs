namespace Risk.Core.Tests.Decisions;

/// <summary>Files of the checkout that the tests run in.</summary>
internal static class Shipped
{
    public static byte[] Bytes(string path) => File.ReadAllBytes(PathOf(path));

    public static string PathOf(string path)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Risk.sln")))
                return Path.Combine(folder.FullName, path);
        }
        throw new InvalidOperationException($"no Risk.sln above {AppContext.BaseDirectory}");
    }
}
