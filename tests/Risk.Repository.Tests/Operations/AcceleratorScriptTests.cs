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

        string report = Says(0, "there", "DEVICE_MISSING: no such device", "go", "cpu"); // a step that fails is told, and keeps nothing else from running
        Assert.Contains("overhead-cpu\t2\t", report, StringComparison.Ordinal);
        Assert.Contains("model-run\t0\t", report, StringComparison.Ordinal);
        Assert.Contains("verify cpu forest-kernel --transactions 100000", report, StringComparison.Ordinal);
        // What was measured there is compared, with the data sheets that were packed and without processors that are not there.
        string results = Path.Combine(_folder, "there/.risk/accelerator/results");
        Assert.Equal(["cpu.json", "some-card.json"], Directory.GetFiles(Path.Combine(results, "compared")).Select(Path.GetFileName).Order());
        foreach (string model in (string[])["card-fraud", "card-fraud-sequence"])
        {
            Assert.Equal($"asked for cost compare --model {model}@1 --profiles {results}/compared --html {results}/compare-{model}.html --json\n", File.ReadAllText(Path.Combine(results, $"compare-{model}.out")));
        }
        Assert.Contains("plan\t0\t", report, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_folder, "there/.risk/accelerator/run/home/ops/traces/day.csv")));
        Assert.Equal("asked for accelerators list --json\n", File.ReadAllText(Path.Combine(_folder, "there/.risk/accelerator/results/list.out")));
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
        (int found, string said) = Checkout.Run("env", [$"PATH={_folder}/bin:/usr/bin:/bin", $"HOME={_folder}", $"RISK_PART_SIZE={PartSize}", "bash", Path.Combine(_folder, place, "ops/accelerator/run.sh"), .. arguments]);
        Assert.True(found == exitCode, $"exit {found}: {said}");
        Assert.Contains(expected, said, StringComparison.Ordinal);
        return said;
    }

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
