namespace Risk.Repository.Tests.Operations;

/// <summary><c>ops/accelerator/run.sh</c> from packing to the report, with a <c>dotnet</c> that only pretends: parts, their checks, steps.</summary>
public sealed class AcceleratorScriptTests : IDisposable
{
    private const int PartSize = 50_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-accelerator-").FullName;

    public AcceleratorScriptTests()
    {
        foreach (string folder in (string[])["here/ops/feed/accelerators/cuda", "here/ops/prices", "here/ops/profiles", "here/ops/traces", "here/models", "here/streams", "here/src/Risk.Cli", "bin/host/fxr", "bin/shared/Microsoft.NETCore.App/10.0.9", "bin/shared/Microsoft.AspNetCore.App/10.0.9"])
        {
            Directory.CreateDirectory(Path.Combine(_folder, folder));
        }
        Script("here/ops/feed/fill", "exit 0");
        File.WriteAllText(Path.Combine(_folder, "here/ops/traces/day.csv"), "1,2,3\n");
        File.WriteAllText(Path.Combine(_folder, "here/ops/profiles/some-card.json"), """{ "kind": "gpu" }""");
        File.WriteAllText(Path.Combine(_folder, "here/ops/profiles/other-cpu.json"), """{ "kind": "cpu" }""");
        // `publish ... -o DIR` leaves something that does not compress; `risk.dll VERB ...` says what it was asked for.
        Script("bin/dotnet", """
            case $1 in
              publish) while [ $# -gt 0 ]; do [ "$1" = -o ] && mkdir -p "$2" && head -c 120000 /dev/urandom >"$2/risk.dll"; shift; done ;;
              --list-runtimes) echo "Microsoft.NETCore.App 10.0.9 [here]" ;;
              *) shift; echo "asked for $*"
                 case "$*" in "accelerators list cuda") echo "DEVICE_MISSING: cuda: there is no card" ;; esac
                 case "$*" in "accelerators verify"*) exit 1 ;; esac
                 case "$*" in "accelerators measure"*) while [ "$1" != --out ]; do shift; done; mkdir -p "$2"; echo '{ "kind": "cpu" }' >"$2/cpu.json" ;; esac
                 case "$*" in *overhead*) echo "DEVICE_MISSING: no such device" >&2; exit 2 ;; esac ;;
            esac
            """);
        foreach (string place in (string[])["here", "there"])
        {
            Directory.CreateDirectory(Path.Combine(_folder, place, "ops/accelerator"));
            File.Copy(Checkout.FullPath("ops/accelerator/run.sh"), Path.Combine(_folder, place, "ops/accelerator/run.sh"));
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [FactWithTool("xz", "xz-utils")]
    public void WhatIsPackedHere_IsReceivedAPartAtATime_AndRunsThere()
    {
        Says(0, "here", "3 parts", "pack", "none");
        string[] parts = [.. Directory.GetFiles(Path.Combine(_folder, "here/.risk/accelerator/parts")).Order()];
        Assert.Equal(["SHA256SUMS", "part.00", "part.01", "part.02"], parts.Select(Path.GetFileName));
        Assert.All(parts[1..], part => Assert.InRange(new FileInfo(part).Length, 1, PartSize));

        Says(3, "there", "PARTS_MISSING", "go", "cpu");
        Says(3, "there", "RECEIVE_NONE", "receive");
        Carry(parts[1]);
        Says(0, "there", "has not come yet", "receive");
        Carry(parts[0]);
        Carry(parts[2], cutOff: true);
        Says(0, "there", "still missing: part.01 (came broken), part.02", "receive");
        Says(3, "there", "PARTS_BROKEN", "go", "cpu");
        Carry(parts[2]);
        Carry(parts[3]);
        Says(0, "there", "all 3 parts, whole", "receive");

        string results = Path.Combine(_folder, "there/.risk/accelerator/results"), brought = Path.Combine(_folder, "brought");
        string report = Says(0, "there", "FAILED: overhead-cpu, overhead-cpu-sequence; the answer is NO: verify-cpu, verify-cpu-sequence", "go", "cpu"); // a step that fails is told, and keeps nothing else from running
        Assert.Contains("DEVICE_MISSING: no such device", report, StringComparison.Ordinal);
        Assert.Matches(@"done +\d+ s  model-run ", report);
        Assert.Matches(@"NO +\d+ s  verify-cpu +risk accelerators verify cpu forest-kernel --transactions 100000", report);
        // What was measured there is compared, with the data sheets that were packed and without processors that are not there.
        Assert.Equal(["cpu.json", "some-card.json"], Directory.GetFiles(Path.Combine(results, "compared")).Select(Path.GetFileName).Order());
        foreach (string model in (string[])["card-fraud", "card-fraud-sequence"])
        {
            Assert.Equal($"asked for cost compare --model {model}@1 --profiles compared --html compare-{model}.html\n", File.ReadAllText(Path.Combine(results, $"compare-{model}.out")));
        }
        Assert.Matches(@"done +\d+ s  plan ", report);
        Assert.True(File.Exists(Path.Combine(_folder, "there/.risk/accelerator/run/home/ops/traces/day.csv")));
        Assert.Equal("asked for accelerators list --json\n", File.ReadAllText(Path.Combine(results, "list.out")));

        // Again: what has an answer stands, what failed is tried again, and everything is brought where it is asked for.
        File.Delete(Path.Combine(results, "list.out"));
        string again = Says(0, "there", "going on behind", $"OUT={brought}", "go", "cpu");
        Assert.DoesNotContain("accelerator: measure-cpu: ", again, StringComparison.Ordinal);
        Assert.Contains("accelerator: overhead-cpu: ", again, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(results, "list.out")));
        Assert.Equal(["report.txt", "results.tar.xz"], Directory.GetFiles(brought).Select(Path.GetFileName).Order());
        Assert.Contains("results/compare-card-fraud.out", Checkout.Run("tar", "-tJf", Path.Combine(brought, "results.tar.xz")).Output, StringComparison.Ordinal);

        // Other settings are another run; without time nothing is begun, and that is said.
        Says(3, "there", "TIME_UP", "RISK_SECONDS=0.1", "RISK_MINUTES=-1", "go", "cpu");
        Assert.Single(Directory.GetDirectories(Path.GetDirectoryName(results)!, "results-until-*"));

        // Without the card: what needs none is done, and the card's absence is the last word.
        string absent = Says(3, "there", "DEVICE_MISSING: cuda: there is no card", "go", "cuda");
        Assert.DoesNotContain("accelerator: verify-cuda", absent, StringComparison.Ordinal);
        Assert.Contains("accelerator: verify-processor", absent, StringComparison.Ordinal);
        Assert.Matches(@"done +\d+ s  plan ", absent);
        Assert.Matches(@"FAILED \(3\) +\d+ s  need-cuda ", absent);
    }

    [Fact]
    public void UnknownAccelerator_IsNotPacked() => Says(3, "here", "PACK_NAME: there are no libraries of 'cudda'; name some of cuda, or none.", "pack", "cudda");

    [Fact]
    public void WithoutAStep_TheUsageIsShown()
    {
        string usage = Says(2, "here", "run.sh receive");
        Assert.DoesNotContain("set -euo", usage, StringComparison.Ordinal);
    }

    private string Says(int exitCode, string place, string expected, params string[] arguments)
    {
        (int found, string said) = Checkout.Run("env", [$"PATH={_folder}/bin:/usr/bin:/bin", $"HOME={_folder}", $"RISK_PART_SIZE={PartSize}", .. arguments.Where(IsSetting), "bash", Path.Combine(_folder, place, "ops/accelerator/run.sh"), .. arguments.Where(a => !IsSetting(a))]);
        Assert.True(found == exitCode, $"exit {found}: {said}");
        Assert.Contains(expected, said, StringComparison.Ordinal);
        return said;
    }

    private static bool IsSetting(string argument) => argument.Contains('=', StringComparison.Ordinal);

    private void Carry(string part, bool cutOff = false)
    {
        string to = Path.Combine(_folder, "there/.risk/accelerator/parts", Path.GetFileName(part));
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        byte[] bytes = File.ReadAllBytes(part);
        File.WriteAllBytes(to, cutOff ? bytes[..^1] : bytes);
    }

    private void Script(string path, string text)
    {
        path = Path.Combine(_folder, path);
        File.WriteAllText(path, $"#!/bin/sh\n{text}\n");
        Checkout.Run("chmod", "+x", path);
    }
}
