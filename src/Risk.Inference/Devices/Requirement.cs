using System.Runtime.InteropServices;

namespace Risk.Inference.Devices;

/// <summary>Something that must be on the machine for a device to work, and whether it is.</summary>
/// <param name="What">For a person: <c>libcuda.so.1 (the driver)</c>.</param>
/// <param name="IsMet">Found, by the same means the provider will use.</param>
/// <param name="Remedy">What to do when it is missing.</param>
public sealed record Requirement(string What, bool IsMet, string Remedy);

/// <summary>How a requirement is looked for; looking changes nothing.</summary>
internal abstract record RequirementCheck(string What, string Remedy)
{
    public Requirement Look() => new(What, IsMet(), Remedy);

    protected abstract bool IsMet();

    /// <summary>A library that the loader finds (its path, or LD_LIBRARY_PATH, or the system's).</summary>
    public sealed record Library(string Name, string Means, string Remedy) : RequirementCheck($"{Name} ({Means})", Remedy)
    {
        protected override bool IsMet()
        {
            if (!NativeLibrary.TryLoad(Name, out nint handle)) { return false; }
            NativeLibrary.Free(handle);
            return true;
        }
    }

    /// <summary>A file below /dev or elsewhere, by pattern.</summary>
    public sealed record Node(string Folder, string Pattern, string Means, string Remedy) : RequirementCheck($"{Folder}/{Pattern} ({Means})", Remedy)
    {
        protected override bool IsMet() => Directory.Exists(Folder) && Directory.EnumerateFileSystemEntries(Folder, Pattern).Any();
    }

    /// <summary>An operating system.</summary>
    public sealed record System(string Name, string Remedy) : RequirementCheck(Name, Remedy)
    {
        protected override bool IsMet() => RuntimeInformation.IsOSPlatform(OSPlatform.Create(Name.ToUpperInvariant()));
    }
}
