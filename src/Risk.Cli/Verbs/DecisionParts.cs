using System.Text;
using Risk.Core;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Service.Engine;

namespace Risk.Cli.Verbs;

/// <summary>
/// The definition and the model that a decision's record names by digest, as far as they are still here; what is not, or
/// is another one by now, is said in <see cref="Notes"/> and left out.
/// </summary>
internal sealed class DecisionParts : IDisposable
{
    private readonly List<string> _notes = [];
    private bool _isWithoutModel;

    private DecisionParts()
    {
    }

    /// <summary>Null when no definition of that stream is here.</summary>
    public StreamFiles? Stream { get; private init; }

    /// <summary>The catalog that made the features; null when the one here is another.</summary>
    public FeatureCatalog? Catalog { get; private init; }

    /// <summary>The policy that decided; null when the one here is another.</summary>
    public Policy? Policy { get; private init; }

    /// <summary>The bundle that scored; null when none here has its digest, or no model scored.</summary>
    public ModelBundle? Bundle { get; private init; }

    /// <summary>The bundle, opened to score; see <see cref="OpenModel"/>.</summary>
    public ServingModel? Model { get; private set; }

    /// <summary>What is missing, in sentences for people.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <param name="stream">The <c>--stream</c> that was given; null takes the record's own stream by its name.</param>
    public static DecisionParts Find(in DecisionRecord record, string? stream)
    {
        StreamFiles? files = FindStream(Encoding.UTF8.GetString(record.Stream), stream, out string? streamNote);
        FeatureCatalog? catalog = files?.Definition.Catalog;
        Policy? policy = files?.Definition.Policy;
        bool sameCatalog = catalog is not null && record.CatalogDigest.SequenceEqual(catalog.Digest);
        bool samePolicy = policy is not null && Convert.ToHexStringLower(record.PolicyDigest) == policy.Digest.ToString();
        ModelBundle? bundle = null;
        bool missesModel = !record.ModelDigest.IsEmpty && !ModelFiles.TryFind(Sha256Digest.From(record.ModelDigest), out bundle);
        var parts = new DecisionParts { Stream = files, Catalog = sameCatalog ? catalog : null, Policy = samePolicy ? policy : null, Bundle = bundle, _isWithoutModel = record.ModelDigest.IsEmpty };
        parts.Note(streamNote);
        parts.Note(catalog is not null && !sameCatalog ? $"another feature catalog ({Short(record.CatalogDigest)}) made the features than the one here ({Short(catalog.Digest)}); their names are left out" : null);
        parts.Note(policy is not null && !samePolicy ? $"another policy ({Short(record.PolicyDigest)}) decided than the one here ({policy.Digest.ToString()[..12]}); its rules are left out" : null);
        parts.Note(missesModel ? $"the model that scored ({Short(record.ModelDigest)}) is not in models/" : null);
        return parts;
    }

    /// <summary>Opens the model to score rows; null, and a note, when that cannot be.</summary>
    public ServingModel? OpenModel()
    {
        if (Bundle is not null && Catalog is not null && Model is null)
        {
            if (ServingModel.TryOpen(Bundle, Stream!.Definition, batchSizeMax: 1, out ServingModel? model, out ModelRefusal? refusal))
            {
                Model = model;
            }
            else
            {
                Note($"the model cannot be run here: {refusal}");
            }
        }

        return Model;
    }

    /// <summary>What a customer could be told; empty when nobody here knows the code any more.</summary>
    public string ReasonText(string code, string source)
    {
        if (source == "rule" && Policy is not null)
        {
            foreach (PolicyRule rule in Policy.Rules)
            {
                if (rule.ReasonCode.Value == code)
                {
                    return rule.ReasonText;
                }
            }
        }

        if (Catalog is not null && Catalog.TryFeature(code, out int feature) && Catalog.Features[feature].Text is { Length: > 0 } text)
        {
            return text;
        }

        return Bundle?.Manifest.ReasonTexts.GetValueOrDefault(code) ?? "";
    }

    /// <summary>What derives this decision again; null when the model, the catalog or the policy that decided is not here.</summary>
    public Rederivation? CreateRederivation(KeyedHash? secret)
    {
        if (Catalog is null || Policy is null)
        {
            return null;
        }

        return _isWithoutModel ? new Rederivation(Stream!.Definition, new ChampionModel("none", default, [], ModelCalibration.None), new ModelLadder(), null, secret)
            : OpenModel() is { } model ? new Rederivation(Stream!.Definition, model.Champion, model.Ladder, model.Shap, secret)
            : null;
    }

    public void Dispose() => Model?.Dispose();

    private void Note(string? note)
    {
        if (note is not null)
        {
            _notes.Add(note);
        }
    }

    private static StreamFiles? FindStream(string recorded, string? given, out string? note)
    {
        note = null;
        if (given is not null)
        {
            return StreamFiles.Load(given);
        }

        string? folder = StreamFiles.Folders().FirstOrDefault(f => Path.GetFileName(f) == recorded);
        if (folder is null)
        {
            note = $"the stream '{recorded}' has no definition below streams/; --stream names its folder";
            return null;
        }

        StreamFiles? files = StreamFiles.TryLoad(folder, out List<DefinitionError> errors);
        note = files is null ? $"the definition in {folder} cannot be read: {errors[0]}" : null;
        return files;
    }

    private static string Short(ReadOnlySpan<byte> digest) => digest.Length < 6 ? "none" : Convert.ToHexStringLower(digest[..6]);
}
