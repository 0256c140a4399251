using Risk.Core.Decisions;
using Risk.Core.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>Device profiles by name, from <c>ops/profiles</c>, or by file.</summary>
internal static class ProfileFile
{
    /// <summary>The profile; null where there is none, or, after a note, where it cannot be read.</summary>
    /// <param name="nameOrFile">A name without a folder is looked for in <c>ops/profiles</c>.</param>
    public static DeviceProfile? Find(string nameOrFile, Action<string> note)
    {
        string shipped = Path.Combine(RiskHome.Find(), "ops", "profiles", $"{nameOrFile}.json");
        string path = File.Exists(nameOrFile) || Path.GetFileName(nameOrFile) != nameOrFile ? nameOrFile : shipped;
        if (!File.Exists(path)) { return null; }
        List<DefinitionError> errors = [];
        if (DeviceProfile.TryRead(File.ReadAllBytes(path), path, errors, out DeviceProfile? profile)) { return profile; }
        errors.ForEach(e => note($"{e.Code}: {e.File} {e.Path}: {e.Sentence}; the device is measured instead"));
        return null;
    }
}
