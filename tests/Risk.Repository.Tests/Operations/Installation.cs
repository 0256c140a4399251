namespace Risk.Repository.Tests.Operations;

/// <summary>One object of Kubernetes, and the file that it stands in.</summary>
internal sealed record Manifest(string Path, Dictionary<string, object> Content)
{
    public string Kind => Content.Text("kind") ?? "";
    public string Name => Content.Text("metadata", "name") ?? "";
    public bool HasPods => Kind is "Deployment" or "StatefulSet" or "Job";
    public Dictionary<string, object> PodLabels => Content.Map("spec", "template", "metadata", "labels");
    public Dictionary<string, object> PodSpec => Content.Map("spec", "template", "spec");
    public IEnumerable<Dictionary<string, object>> Containers => PodSpec.List("containers").Cast<Dictionary<string, object>>();
    public override string ToString() => $"{Path}: {Kind} {Name}";
}

/// <summary>What <c>kubectl apply -k</c> makes of a folder, before patches.</summary>
internal sealed class Installation
{
    public const string Root = "ops/kubernetes";

    public Installation(string folder) => Manifests = [.. Read($"{Root}/{folder}")];

    public IReadOnlyList<Manifest> Manifests { get; }

    public IEnumerable<Manifest> Workloads => Manifests.Where(manifest => manifest.HasPods);

    /// <summary>Files and folders that a kustomization names, relative to the checkout.</summary>
    public static IEnumerable<string> Named(string folder)
    {
        Dictionary<string, object> kustomization = Yaml.Document($"{folder}/kustomization.yaml");
        return kustomization.List("resources").Concat(kustomization.List("components")).Cast<string>()
            .Concat(kustomization.List("patches").Select(patch => patch.Text("path")).OfType<string>())
            .Select(name => Path.GetRelativePath(Checkout.Root, Path.GetFullPath(Path.Combine(Checkout.FullPath(folder), name))));
    }

    private static IEnumerable<Manifest> Read(string folder) => Named(folder).SelectMany(path =>
        Directory.Exists(Checkout.FullPath(path)) ? Read(path) : Yaml.Documents(path).Select(document => new Manifest(path, document)));
}
