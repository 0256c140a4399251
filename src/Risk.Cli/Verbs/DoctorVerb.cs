using System.CommandLine;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary><c>risk doctor</c>: what is installed, what is missing, what to do. Exit 0 when the main job can run.</summary>
internal static class DoctorVerb
{
    public static Command Create()
    {
        var command = new Command("doctor", "What is installed, what is missing, what to do about it.");
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        List<DoctorFinding> findings = output.Run("Checking", "checks", DoctorChecks.All.Count, report =>
        {
            var found = new List<DoctorFinding>();
            foreach (Func<DoctorFinding> check in DoctorChecks.All)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                found.Add(check());
                report.Done++;
            }

            return found;
        });

        bool ready = findings.TrueForAll(f => f.State != DoctorState.Failed);
        if (output.Json)
        {
            output.WriteJson(json => Write(json, ready, findings));
        }
        else
        {
            Show(output, ready, findings);
        }

        return ready ? ExitCode.Done : ExitCode.No;
    }

    private static void Write(Utf8JsonWriter json, bool ready, List<DoctorFinding> findings)
    {
        json.WriteBoolean("ready", ready);
        json.WriteStartArray("checks");
        foreach (DoctorFinding finding in findings)
        {
            json.WriteStartObject();
            json.WriteString("name", finding.Name);
            json.WriteString("state", Word(finding.State));
            json.WriteString("finding", finding.Finding);
            if (finding.ToDo is { } toDo)
            {
                json.WriteString("toDo", toDo);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Show(Output output, bool ready, List<DoctorFinding> findings)
    {
        Table table = output.CreateTable("", "check", "found", "to do");
        foreach (DoctorFinding finding in findings)
        {
            string colour = finding.State switch { DoctorState.Good => "green", DoctorState.Absent => "yellow", _ => "red" };
            table.AddRow($"[{colour}]{Word(finding.State)}[/]", Markup.Escape(finding.Name), Markup.Escape(finding.Finding), Markup.Escape(finding.ToDo ?? ""));
        }

        output.People.Write(table);
        output.WriteLine(ready
            ? "The main job can run: risk demo."
            : "The main job cannot run until what has failed is mended.");
    }

    private static string Word(DoctorState state) => state switch
    {
        DoctorState.Good => "ok",
        DoctorState.Absent => "absent",
        _ => "failed",
    };
}
