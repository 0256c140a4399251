using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary><c>risk accelerators measure --replay PROFILE</c>: a profile that was recorded elsewhere, or what a data sheet gives, labelled as what it is.</summary>
internal static class RecordedProfile
{
    public static ExitCode Replay(Output output, string nameOrFile, IReadOnlyList<AcceleratorConfiguration> configured)
    {
        string path = File.Exists(nameOrFile) ? nameOrFile : Path.Combine(RiskHome.Find(), "ops", "profiles", $"{nameOrFile}.json");
        if (!File.Exists(path)) { throw CommandFailure.BadInput("PROFILE_MISSING", $"there is no profile {path}"); }
        List<DefinitionError> errors = [];
        if (!DeviceProfile.TryRead(File.ReadAllBytes(path), Path.GetFileName(path), errors, out DeviceProfile? profile))
        {
            throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);
        }
        if (profile.Sheet is { } sheet && profile.Models.Count == 0) { return ShowSheet(output, path, profile, sheet); }

        string label = $"Recorded on {profile.Date:yyyy-MM-dd} on {profile.Machine}, not measured now{(IsHere(profile, configured) ? "" : "; the device is not on this machine")}.";
        if (output.Json) { output.WriteJson(json => Write(json, path, label, [profile])); }
        else
        {
            output.WriteLine(label);
            CurveTable.Show(output, profile, " (recorded)");
        }
        return ExitCode.Done;
    }

    /// <summary>A data sheet has no curve of its own; the one that every calculation makes from it is shown.</summary>
    private static ExitCode ShowSheet(Output output, string path, DeviceProfile profile, DataSheet sheet)
    {
        string file = Path.Combine(RiskHome.Find(), "ops", "profiles", "workloads.json");
        List<DefinitionError> errors = [];
        if (!File.Exists(file) || !ModelWorkload.TryReadAll(File.ReadAllBytes(file), Path.GetFileName(file), errors, out IReadOnlyList<ModelWorkload>? workloads))
        {
            throw CommandFailure.BadInput("PROFILE_MISSING", $"{file}, which says what a row of each model asks for, {(errors.Count > 0 ? $"cannot be read: {errors[0].Code}: {errors[0].Sentence}" : "is missing")}");
        }
        DeviceProfile computed = profile with { Models = [.. workloads.Select(workload => DataSheetModel.Curve(sheet, workload))] };
        const string mark = "published/assumed, not measured";
        string label = $"{profile.Name}, computed from a data sheet of {profile.Date:yyyy-MM-dd}, published/assumed, {DataSheetModel.Sentence}.";
        if (output.Json) { output.WriteJson(json => Write(json, path, label, [computed])); }
        else
        {
            output.WriteLine(label);
            CurveTable.Show(output, computed with { Note = null }, $" ({mark})");
        }
        return ExitCode.Done;
    }

    /// <summary>Whether the device that was measured is on this machine; if it is, it must be as it was then.</summary>
    private static bool IsHere(DeviceProfile profile, IReadOnlyList<AcceleratorConfiguration> configured)
    {
        // By its own name, or by how it is reached: a card's profile has the card's name.
        AcceleratorConfiguration? named = configured.FirstOrDefault(a => a.Name == profile.Name)
            ?? ((ReadyProfiles.Find(profile.Name) ?? ReadyProfiles.All.FirstOrDefault(p => p.ExecutionProvider == profile.ExecutionProvider)) is { } ready ? AcceleratorConfiguration.Named(ready.Name) : null);
        if (named is null || !AcceleratorDevice.TryOpen(named, out AcceleratorDevice? device, out _)) { return false; }
        if (named.Name != profile.Name && device.Description != profile.Device) { return false; }
        if (profile.Mismatch(device.Driver, AcceleratorDevice.RuntimeVersion, device.ProviderVersion) is { } stale) { throw CommandFailure.BadInput(stale.Code, $"{stale.File} {stale.Path}: it {stale.Sentence}: measure again with 'risk accelerators measure'; until then work stays on the CPU"); }
        return true;
    }

    private static void Write(Utf8JsonWriter json, string path, string label, IReadOnlyList<DeviceProfile> profiles) =>
        MeasureCommand.WriteAll(json, profiles, Path.GetDirectoryName(Path.GetFullPath(path))!, label);
}
