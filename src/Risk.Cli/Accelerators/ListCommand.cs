using System.CommandLine;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Devices;
using Risk.Inference.Devices;
using Spectre.Console;

namespace Risk.Cli.Accelerators;

/// <summary><c>risk accelerators list</c>: every ready profile and every configured accelerator: present, or what is missing and what to do.</summary>
internal static class ListCommand
{
    private static readonly Option<string?> s_file = AcceleratorFile.Option();
    private static readonly Argument<string?> s_name = DeviceArgument.OneOrAll();

    public static Command Create()
    {
        var command = new Command("list", "The ready profiles and the configured accelerators: present, or what is missing.") { s_name, s_file };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        IReadOnlyList<AcceleratorConfiguration> configured = AcceleratorFile.Read(context.Get(s_file));
        string? name = context.Get(s_name);
        List<ListedDevice> devices = context.Output.Run("Looking for devices", "profiles", null, _ => ListedDevice.All(configured, name));
        Output output = context.Output;
        if (name is not null)
        {
            if (devices.Count == 0) { throw CommandFailure.BadInput(DeviceCodes.UnknownProvider, $"there is no accelerator '{name}'; ready profiles are {string.Join(", ", ReadyProfiles.All.Select(p => p.Name))}"); }
        }
        if (output.Json)
        {
            output.WriteJson(json =>
            {
                json.WriteString("runtime", AcceleratorDevice.RuntimeVersion);
                json.WriteStartArray("accelerators");
                devices.ForEach(device => device.Write(json));
                json.WriteEndArray();
            });
            return ExitCode.Done;
        }
        Table table = output.CreateTable("accelerator", "for", "execution provider", "", "device, or what is missing");
        foreach (ListedDevice device in devices)
        {
            table.AddRow(
                Markup.Escape(device.Name), Markup.Escape(device.Title), Markup.Escape(device.ExecutionProvider), device.Refusal is null ? "[green]present[/]" : "[grey]absent[/]",
                Markup.Escape(device.Refusal is null ? device.Description : device.Missing));
        }
        output.People.Write(table);
        if (devices is [{ Refusal: not null } one])
        {
            output.WriteLine(one.Refusal!.ToString());
            foreach (Requirement requirement in one.Requirements) { output.WriteLine($"  {(requirement.IsMet ? "there:  " : "missing:")} {requirement.What}{(requirement.IsMet ? "" : $": {requirement.Remedy}")}"); }
            output.WriteLine($"  library: {one.HowTo}");
        }
        else { output.WriteLine("risk accelerators list NAME says what to do about one."); }
        output.WriteLine($"ONNX Runtime {AcceleratorDevice.RuntimeVersion}{(OnnxRuntimeLibrary.Path is { } path ? $" from {path}" : ", the one that comes with the engine")}.");
        return ExitCode.Done;
    }
}

/// <summary>A ready profile or a configured accelerator, as it was found.</summary>
internal sealed record ListedDevice(string Name, string Title, string ExecutionProvider, bool IsConfigured, AcceleratorDevice? Device, DeviceRefusal? Refusal, IReadOnlyList<Requirement> Requirements, string HowTo)
{
    public string Description => Device is { ProviderVendor.Length: > 0 } plugin
        ? $"{plugin.Description}, by {plugin.ProviderVendor}{(plugin.ProviderVersion.Length > 0 ? $" {plugin.ProviderVersion}" : "")}"
        : Device?.Description ?? Title;

    /// <summary>What is missing, in few words.</summary>
    public string Missing => string.Join(", ", Requirements.Where(r => !r.IsMet).Select(r => r.What)) is { Length: > 0 } lacking ? $"missing: {lacking}" : $"{Refusal!.Code}: {(HowTo.Length > 0 ? HowTo : Refusal.Reason)}";

    /// <param name="name">Only this one is opened; null for all. One may bring an ONNX Runtime of its own, on which another does not run.</param>
    public static List<ListedDevice> All(IReadOnlyList<AcceleratorConfiguration> configured, string? name)
    {
        AcceleratorConfiguration[] wanted = [.. configured.Concat(ReadyProfiles.All.Where(p => !configured.Any(c => c.Name == p.Name)).Select(p => AcceleratorConfiguration.Named(p.Name))).Where(c => name is null || c.Name == name)];
        (IReadOnlyList<AcceleratorDevice> devices, IReadOnlyList<DeviceRefusal> refusals) = AcceleratorDevice.OpenAll(wanted);
        return [.. wanted.Select(configuration =>
        {
            ReadyProfile? profile = ReadyProfiles.Find(configuration.Provider);
            return new ListedDevice(
                configuration.Name, profile?.Title ?? configuration.Provider, profile?.ExecutionProvider ?? configuration.Provider, configured.Contains(configuration),
                devices.FirstOrDefault(d => d.Name == configuration.Name), refusals.FirstOrDefault(r => r.Device == configuration.Name),
                profile?.Requirements() ?? [], profile?.HowTo ?? "");
        })];
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("name", Name);
        json.WriteString("title", Title);
        json.WriteString("executionProvider", ExecutionProvider);
        json.WriteBoolean("configured", IsConfigured);
        json.WriteBoolean("present", Refusal is null);
        if (Device is { } device)
        {
            json.WriteString("device", device.Description);
            json.WriteString("library", device.Library);
            json.WriteString("providerVendor", device.ProviderVendor);
            json.WriteString("providerVersion", device.ProviderVersion);
            json.WriteString("driver", device.Driver);
        }
        if (Refusal is { } refusal)
        {
            json.WriteString("code", refusal.Code);
            json.WriteString("reason", refusal.Reason);
            json.WriteString("howTo", HowTo);
        }
        json.WriteStartArray("requirements");
        foreach (Requirement requirement in Requirements)
        {
            json.WriteStartObject();
            json.WriteString("what", requirement.What);
            json.WriteBoolean("met", requirement.IsMet);
            if (!requirement.IsMet) { json.WriteString("remedy", requirement.Remedy); }
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
