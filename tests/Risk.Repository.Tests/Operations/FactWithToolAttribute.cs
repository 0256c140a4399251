namespace Risk.Repository.Tests.Operations;

/// <summary>Skipped, with the reason, where a program is not installed.</summary>
internal sealed class FactWithToolAttribute : FactAttribute
{
    /// <param name="package">Debian's package that has it.</param>
    public FactWithToolAttribute(string program, string package)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program))))
        {
            Skip = $"{program} is not installed (apt-get install {package})";
        }
    }
}
