using System.Globalization;
using System.Text.Json;

namespace Risk.Repository.Tests.Operations;

/// <summary>ops/kubernetes: names, selectors, ports, paths and references agree with each other and with the engine.</summary>
public sealed class KubernetesTests
{
    private static readonly JsonDocumentOptions s_withComments = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    public static TheoryData<string> Installations => ["embedded", "cluster"];

    [Fact]
    public void EveryManifest_IsNamedByAKustomization_AndEveryNamedOneExists()
    {
        string[] files = [.. Checkout.TrackedFiles.Where(path => path.StartsWith(Installation.Root + "/", StringComparison.Ordinal) && path.EndsWith(".yaml", StringComparison.Ordinal))];
        string[] folders = [.. files.Where(path => Path.GetFileName(path) == "kustomization.yaml").Select(path => Path.GetDirectoryName(path)!)];
        string[] named = [.. folders.SelectMany(Installation.Named)];

        Assert.NotEmpty(folders);
        Assert.All(named, path => Assert.True(File.Exists(Checkout.FullPath(path)) || Directory.Exists(Checkout.FullPath(path)), $"{path} is named and does not exist"));
        Assert.All(files.Where(path => Path.GetFileName(path) is not ("kustomization.yaml" or "secrets.example.yaml")), path => Assert.Contains(path, named));
        Assert.All(files.SelectMany(Yaml.Documents), document => Assert.True(document.Text("kind") is not null && document.Text("apiVersion") is not null));
    }

    [Theory]
    [MemberData(nameof(Installations))]
    public void EverySelector_MatchesItsPods(string folder)
    {
        var installation = new Installation(folder);
        foreach (Manifest workload in installation.Workloads.Where(manifest => manifest.Kind != "Job"))
        {
            AssertMatches(workload.Content.Map("spec", "selector", "matchLabels"), workload);
            Assert.All(workload.PodSpec.List("topologySpreadConstraints"), constraint => AssertMatches(constraint.Map("labelSelector", "matchLabels"), workload));
        }

        Manifest[] selecting = [.. installation.Manifests.Where(manifest => manifest.Kind is "Service" or "PodDisruptionBudget" or "NetworkPolicy")];
        Assert.NotEmpty(selecting);
        Assert.All(selecting.Where(manifest => manifest.Name != "risk-default-deny"), manifest =>
        {
            Dictionary<string, object> selector = manifest.Kind switch
            {
                "Service" => manifest.Content.Map("spec", "selector"),
                "NetworkPolicy" => manifest.Content.Map("spec", "podSelector", "matchLabels"),
                _ => manifest.Content.Map("spec", "selector", "matchLabels"),
            };
            Manifest[] selected = [.. installation.Workloads.Where(workload => Matches(selector, workload))];
            Assert.True(selector.Count > 0 && selected.Length > 0, $"{manifest} selects nothing");
            // A call must not land on a pod of another kind.
            Assert.True(manifest.Kind == "NetworkPolicy" || selected.Length == 1, $"{manifest} selects {string.Join(" and ", selected.Select(workload => workload.Name))}");
            Assert.All(manifest.Content.List("spec", "ports").Where(_ => manifest.Kind == "Service"), port =>
                Assert.Contains(port.Text("targetPort"), selected[0].Containers.SelectMany(container => container.List("ports")).Select(p => p.Text("name"))));
        });
        Assert.All(installation.Manifests.Where(manifest => manifest.Kind == "StatefulSet"), manifest =>
            Assert.Equal("None", installation.Manifests.Single(m => m.Kind == "Service" && m.Name == manifest.Content.Text("spec", "serviceName")).Content.Text("spec", "clusterIP")));
        Assert.Equal(installation.Workloads.Where(w => w.Kind != "Job").Select(w => w.Name).Order(), installation.Manifests.Where(m => m.Kind == "PodDisruptionBudget").Select(m => m.Name).Order());
    }

    [Theory]
    [MemberData(nameof(Installations))]
    public void EveryConfigMapAndSecret_Exists(string folder)
    {
        var installation = new Installation(folder);
        Manifest[] secrets = [.. Yaml.Documents($"{Installation.Root}/secrets.example.yaml").Select(document => new Manifest("secrets.example.yaml", document))];
        foreach (Manifest workload in installation.Workloads)
        {
            string[] volumes = [.. workload.PodSpec.List("volumes").Concat(workload.Content.List("spec", "volumeClaimTemplates").Select(claim => claim.At("metadata"))).Select(volume => volume.Text("name")!)];
            Assert.All(workload.Containers.SelectMany(container => container.List("volumeMounts")), mount => Assert.Contains(mount.Text("name"), volumes));
            foreach (object volume in workload.PodSpec.List("volumes"))
            {
                if (volume.At("configMap") is { } configMap) { AssertHas(installation.Manifests.Where(m => m.Kind == "ConfigMap"), configMap.Text("name"), "data", configMap.List("items"), workload); }
                if (volume.At("secret") is { } secret) { AssertHas(secrets, secret.Text("secretName"), "stringData", secret.List("items"), workload); }
            }

            Assert.Contains(installation.Manifests, manifest => manifest.Kind == "ServiceAccount" && manifest.Name == workload.PodSpec.Text("serviceAccountName"));
        }
    }

    [Theory]
    [MemberData(nameof(Installations))]
    public void NoSecret_HasAValueInGit(string folder)
    {
        Assert.DoesNotContain(new Installation(folder).Manifests, manifest => manifest.Kind == "Secret");
        Assert.All(Yaml.Documents($"{Installation.Root}/secrets.example.yaml"), secret => Assert.All(secret.Map("stringData").Values, value => Assert.Equal("", value)));
        Assert.All(new Installation(folder).Manifests.SelectMany(manifest => Yaml.Texts(manifest.Content)), text => Assert.DoesNotContain("Password=", text.Text, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void EveryProbe_AsksAPathAndAPortThatExist()
    {
        Manifest[] serving = [.. new Installation("embedded").Workloads.Concat(new Installation("cluster").Workloads).Where(workload => workload.Kind != "Job")];

        Assert.Equal(3, serving.Length);
        Assert.All(serving, workload =>
        {
            Dictionary<string, object> container = Assert.Single(workload.Containers);
            foreach (string probe in (string[])["startupProbe", "livenessProbe", "readinessProbe"])
            {
                Assert.Contains(container.Text(probe, "httpGet", "path")!, ServedApi.Routes);
                Assert.Contains(container.Text(probe, "httpGet", "port"), container.List("ports").Select(port => port.Text("name")));
            }

            Assert.Equal("/health/ready", container.Text("readinessProbe", "httpGet", "path"));
            if (workload.Name == "risk-front") { return; } // owns no partition: nothing that would have to be scraped
            Dictionary<string, object> annotations = workload.Content.Map("spec", "template", "metadata", "annotations");
            Assert.Contains(annotations.Text("prometheus.io/path")!, ServedApi.Routes);
            Assert.Equal(Ports(container)["http"], annotations.Text("prometheus.io/port"));
        });
    }

    [Theory]
    [MemberData(nameof(Installations))]
    public void EveryConfiguration_IsJson_AndListensWhereItsPodsSay(string folder)
    {
        var installation = new Installation(folder);
        Manifest configuration = Assert.Single(installation.Manifests, manifest => manifest.Kind == "ConfigMap");
        string text = (string)Assert.Single(configuration.Content.Map("data").Values);
        using var json = JsonDocument.Parse(text, s_withComments);
        int port = new Uri(json.RootElement.GetProperty("listen").GetString()!).Port;

        Assert.All(installation.Workloads.Where(workload => workload.Kind != "Job").SelectMany(workload => workload.Containers),
            container => Assert.Equal(port.ToString(CultureInfo.InvariantCulture), Ports(container)["http"]));
        // The secrets' files are mounted where the configuration and the arguments look for them.
        string database = json.RootElement.GetProperty("store").GetProperty("postgres").GetString()!;
        Assert.All(installation.Workloads, workload => Assert.All(workload.Containers, container =>
        {
            string[] mounted = [.. container.List("volumeMounts").SelectMany(mount => workload.PodSpec.List("volumes").FirstOrDefault(volume => volume.Text("name") == mount.Text("name"))
                .List("secret", "items").Select(item => $"file:{mount.Text("mountPath")}/{item.Text("path")}"))];
            string[] named = [.. container.List("args").Cast<string>().Where(argument => argument.StartsWith("file:", StringComparison.Ordinal)), .. workload.Kind == "StatefulSet" ? [database] : Array.Empty<string>()];
            Assert.NotEmpty(named);
            Assert.All(named, name => Assert.Contains(name, mounted));
        }));
    }

    [Theory]
    [MemberData(nameof(Installations))]
    public void EveryContainer_IsPinnedBoundedAndWithoutRights(string folder) => Assert.All(new Installation(folder).Workloads, workload =>
    {
        Assert.Equal("true", workload.PodSpec.Text("securityContext", "runAsNonRoot"));
        Assert.Equal("RuntimeDefault", workload.PodSpec.Text("securityContext", "seccompProfile", "type"));
        Assert.All(workload.Containers, container =>
        {
            Assert.Matches(Image.Pinned(), container.Text("image"));
            Assert.NotNull(container.At("resources", "requests", "cpu"));
            Assert.NotNull(container.At("resources", "requests", "memory"));
            Assert.NotNull(container.At("resources", "limits", "memory"));
            Assert.Equal("true", container.Text("securityContext", "readOnlyRootFilesystem"));
            Assert.Equal("false", container.Text("securityContext", "allowPrivilegeEscalation"));
            Assert.Equal(["ALL"], container.List("securityContext", "capabilities", "drop"));
            Assert.All(container.List("volumeMounts").Where(mount => mount.Text("mountPath")!.Contains("secrets", StringComparison.Ordinal)), mount => Assert.Equal("true", mount.Text("readOnly")));
        });
    });

    [Fact]
    public void OwnersOfPartitions_HaveTimeToDrain() => Assert.All((string[])["risk-serve", "risk-silo"], name =>
    {
        Manifest owner = new Installation("embedded").Workloads.Concat(new Installation("cluster").Workloads).Single(workload => workload.Name == name);
        // 20 s at worst, however many partitions, behind what the pod waits before it stops; and twice that for a busy machine.
        Assert.True(int.Parse(owner.PodSpec.Text("terminationGracePeriodSeconds")!, CultureInfo.InvariantCulture) > 3 * 20);
    });

    [Fact]
    public void EveryComponent_ActsOnAWorkloadThatExists()
    {
        var embedded = new Installation("embedded");
        Manifest[] workloads = [.. embedded.Workloads, .. new Installation("cluster").Workloads];
        string[] components = [.. Checkout.TrackedFiles.Where(path => path.StartsWith($"{Installation.Root}/components/", StringComparison.Ordinal) && path.EndsWith("kustomization.yaml", StringComparison.Ordinal))];

        Assert.Equal(3, components.Length);
        // Where a component names a kind and nothing else, there is one of it.
        Assert.All((string[])["embedded", "cluster"], folder => Assert.Single(new Installation(folder).Workloads, workload => workload.Kind == "StatefulSet"));
        Assert.All(components, component =>
        {
            Dictionary<string, object> kustomization = Yaml.Document(component);
            Assert.Equal("Component", kustomization.Text("kind"));
            Assert.All(kustomization.List("patches"), patch => Assert.Contains(workloads, workload => workload.Kind == patch.Text("target", "kind") && (patch.Text("target", "name") ?? workload.Name) == workload.Name));
            Assert.All(new Installation(Path.GetRelativePath(Installation.Root, Path.GetDirectoryName(component)!)).Manifests.Where(manifest => manifest.Content.At("spec", "scaleTargetRef") is not null), scaler =>
            {
                Assert.Contains(embedded.Workloads, workload => workload.Kind == scaler.Content.Text("spec", "scaleTargetRef", "kind") && workload.Name == scaler.Content.Text("spec", "scaleTargetRef", "name"));
                object replacement = Assert.Single(kustomization.List("replacements"));
                Assert.Equal("StatefulSet", replacement.Text("source", "kind"));
                Assert.Equal(scaler.Kind, Assert.Single(replacement.List("targets")).Text("select", "kind"));
            });
        });
    }

    // A patch for a workload or a container that is not there does nothing, without a word.
    [Theory]
    [MemberData(nameof(Installations))]
    public void AnAccelerator_IsAskedForByTheOwnersOfPartitions(string folder)
    {
        const string Component = $"{Installation.Root}/components/accelerator";
        Manifest owner = new Installation(folder).Workloads.Single(workload => workload.Kind == "StatefulSet");
        object patch = Assert.Single(Yaml.Document($"{Component}/kustomization.yaml").List("patches"), patch => patch.Text("target", "kind") == owner.Kind && patch.Text("target", "name") == owner.Name);
        var patched = new Manifest(owner.Path, Yaml.Document($"{Component}/{patch.Text("path")}"));

        Assert.Equal((owner.Kind, owner.Name), (patched.Kind, patched.Name));
        Assert.NotNull(patched.PodSpec.At("nodeSelector", "risk.dev/accelerator"));
        Dictionary<string, object> container = Assert.Single(patched.Containers);
        Assert.Equal(Assert.Single(owner.Containers).Text("name"), container.Text("name"));
        Assert.Equal("1", container.Text("resources", "limits", "nvidia.com/gpu"));
    }

    [Fact]
    public void Lag_IsThatOfTheConfiguredGroupAndTopic()
    {
        Manifest configuration = Assert.Single(new Installation("embedded").Manifests, manifest => manifest.Kind == "ConfigMap");
        using var json = JsonDocument.Parse((string)configuration.Content.Map("data")["serve.json"], s_withComments);
        object trigger = Assert.Single(Yaml.Document($"{Installation.Root}/components/keda/scaled-object.yaml").List("spec", "triggers"));

        Assert.Equal(json.RootElement.GetProperty("kafka").GetProperty("groupId").GetString(), trigger.Text("metadata", "consumerGroup"));
        Assert.Equal($"transactions.{json.RootElement.GetProperty("stream").GetString()}", trigger.Text("metadata", "topic"));
        Assert.Equal(json.RootElement.GetProperty("kafka").GetProperty("properties").GetProperty("bootstrap.servers").GetString(), trigger.Text("metadata", "bootstrapServers"));
    }

    private static Dictionary<string, string?> Ports(Dictionary<string, object> container) => container.List("ports").ToDictionary(port => port.Text("name")!, port => port.Text("containerPort"));

    private static bool Matches(Dictionary<string, object> selector, Manifest workload) => selector.All(label => workload.PodLabels.Text(label.Key) == (string)label.Value);

    private static void AssertMatches(Dictionary<string, object> selector, Manifest workload) => Assert.True(selector.Count > 0 && Matches(selector, workload), $"{workload}: the selector does not match its own pods");

    private static void AssertHas(IEnumerable<Manifest> holders, string? name, string part, IReadOnlyList<object> items, Manifest user)
    {
        Manifest? holder = holders.SingleOrDefault(manifest => manifest.Name == name);
        Assert.True(holder is not null, $"{user} names {name}, which does not exist");
        Assert.NotEmpty(items);
        Assert.All(items, item => Assert.Contains(item.Text("key"), holder.Content.Map(part).Keys));
    }
}
