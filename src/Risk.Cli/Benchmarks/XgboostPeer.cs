using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Risk.Core.Models;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// libxgboost as a peer, through its C API (https://xgboost.readthedocs.io/en/stable/dev/c__api_8h.html), on the trees of a
/// <see cref="Forest"/>. One thread. Only benchmarks use it; without Debian's libxgboost0 they skip it and say so.
/// </summary>
internal sealed class XgboostPeer : IDisposable
{
    private static readonly string[] LibraryNames = ["libxgboost.so.0", "libxgboost.so", "libxgboost"];

    private readonly Api _api;
    private readonly nint _booster;

    private XgboostPeer(Api api, nint booster) => (_api, _booster) = (api, booster);

    public string Version => _api.Version;

    /// <summary>The library with the forest loaded, or null and the reason.</summary>
    public static XgboostPeer? TryOpen(Forest forest, out string? whyNot)
    {
        nint library = 0;
        if (!Array.Exists(LibraryNames, name => NativeLibrary.TryLoad(name, out library)))
        {
            whyNot = "not installed (apt-get install libxgboost0)";
            return null;
        }

        var api = new Api(library);
        api.Check(api.BoosterCreate(0, 0, out nint booster));
        var peer = new XgboostPeer(api, booster);
        string file = Path.Combine(Path.GetTempPath(), $"risk-bench-{Environment.ProcessId}.json");
        try
        {
            File.WriteAllBytes(file, Model(forest));
            api.Check(api.BoosterSetParam(booster, "nthread", "1"));
            api.Check(api.BoosterLoadModel(booster, file));
            api.Check(api.BoosterSetParam(booster, "nthread", "1"));
        }
        catch (XgboostException e)
        {
            peer.Dispose();
            whyNot = $"{peer.Version} does not read the trees: {e.Message.Split('\n')[0]}";
            return null;
        }
        finally
        {
            File.Delete(file);
        }

        whyNot = null;
        return peer;
    }

    public void Dispose() => _api.BoosterFree(_booster);

    /// <summary>Scores of the first rows, straight from the array.</summary>
    public float[] Predict(float[] rows, int count)
    {
        using var pinned = new Pinned(rows);
        return Result(Predict(ArrayInterface(pinned.Address, count, rows.Length / BenchmarkForest.RowCount)), count);
    }

    public double NanosecondsPerRowAndTree(TimeSpan duration, BenchmarkForest forest, int batch)
    {
        using var pinned = new Pinned(forest.Rows);
        int width = forest.Forest.FeatureCount;

        // The descriptions of the batches are made before the clock starts.
        byte[][] batches = [.. Enumerable.Range(0, Math.Min(64, BenchmarkForest.RowCount / batch)).Select(b => ArrayInterface(pinned.Address + (b * batch * width * sizeof(float)), batch, width))];
        return Timing.NanosecondsPerCall(duration, call => Predict(batches[call % batches.Length])) / batch / forest.Forest.TreeCount;
    }

    public Matrix CreateMatrix(float[] rows, int count)
    {
        using var pinned = new Pinned(rows);
        int width = rows.Length / BenchmarkForest.RowCount;
        _api.Check(_api.MatrixCreate(pinned.Address, (ulong)count, (ulong)width, float.NaN, out nint handle));
        return new Matrix(_api, handle, count * (width + 1));
    }

    /// <summary>SHAP values, [rows, features + 1], the expected margin last.</summary>
    public float[] Contributions(Matrix matrix)
    {
        _api.Check(_api.PredictFromMatrix(_booster, matrix.Handle, Api.ContributionsConfig, out _, out _, out nint result));
        return Result(result, matrix.ResultSize);
    }

    private nint Predict(byte[] array)
    {
        _api.Check(_api.PredictFromDense(_booster, array, Api.PredictConfig, 0, out _, out _, out nint result));
        return result;
    }

    private static float[] Result(nint address, int count)
    {
        var values = new float[count];
        Marshal.Copy(address, values, 0, count);
        return values;
    }

    /// <summary>NumPy's array interface: an address and a shape, as JSON.</summary>
    private static byte[] ArrayInterface(nint address, int rows, int columns) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $$"""{"data":[{{address}},true],"shape":[{{rows}},{{columns}}],"typestr":"<f4","version":3}""") + "\0");

    /// <summary>The forest in xgboost's own JSON (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html).</summary>
    private static byte[] Model(Forest forest)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            double baseScore = forest.Link == ForestLink.Logistic ? forest.Output(forest.BaseMargin) : forest.BaseMargin;
            string objective = forest.Link == ForestLink.Logistic ? "binary:logistic" : "reg:squarederror";
            json.WriteStartObject();
            json.WriteStartObject("learner");
            json.WriteRawObject("attributes", "{}");
            json.WriteRawObject("feature_names", "[]");
            json.WriteRawObject("feature_types", "[]");
            json.WriteStartObject("gradient_booster");
            json.WriteStartObject("model");
            json.WriteRawObject("gbtree_model_param", $$"""{"num_parallel_tree":"1","num_trees":"{{forest.TreeCount}}","size_leaf_vector":"0"}""");
            json.WriteNumbers("tree_info", Enumerable.Repeat(0, forest.TreeCount));
            json.WriteStartArray("trees");
            for (int t = 0; t < forest.TreeCount; t++)
            {
                Tree(json, forest.Tree(t).ToArray(), t, forest.FeatureCount);
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteString("name", "gbtree");
            json.WriteEndObject();
            json.WriteRawObject("learner_model_param", string.Create(CultureInfo.InvariantCulture, $$"""{"base_score":"{{baseScore:R}}","num_class":"0","num_feature":"{{forest.FeatureCount}}","num_target":"1"}"""));
            json.WriteRawObject("objective", $$$"""{"name":"{{{objective}}}","reg_loss_param":{"scale_pos_weight":"1"}}""");
            json.WriteEndObject();
            json.WriteRawObject("version", "[1,7,4]");
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void Tree(Utf8JsonWriter json, ForestNode[] preorder, int id, int featureCount)
    {
        ForestNode[] nodes = SiblingsSideBySide(preorder);
        var parents = Enumerable.Repeat(int.MaxValue, nodes.Length).ToArray();
        for (int i = 0; i < nodes.Length; i++)
        {
            if (!nodes[i].IsLeaf)
            {
                parents[nodes[i].Left] = parents[nodes[i].Right] = i;
            }
        }

        json.WriteStartObject();
        json.WriteNumbers("base_weights", nodes.Select(n => n.Value));
        json.WriteRawObject("categories", "[]");
        json.WriteRawObject("categories_nodes", "[]");
        json.WriteRawObject("categories_segments", "[]");
        json.WriteRawObject("categories_sizes", "[]");
        json.WriteNumbers("default_left", nodes.Select(n => n.IsLeaf || n.MissingRight ? 0 : 1));
        json.WriteNumber("id", id);
        json.WriteNumbers("left_children", nodes.Select(n => n.Left));
        json.WriteNumbers("loss_changes", nodes.Select(_ => 0f));
        json.WriteNumbers("parents", parents);
        json.WriteNumbers("right_children", nodes.Select(n => n.Right));
        json.WriteNumbers("split_conditions", nodes.Select(n => n.IsLeaf ? n.Value : n.Threshold));
        json.WriteNumbers("split_indices", nodes.Select(n => Math.Max(n.Feature, 0)));
        json.WriteNumbers("split_type", nodes.Select(_ => 0));
        json.WriteNumbers("sum_hessian", nodes.Select(n => float.IsNaN(n.Cover) ? 1f : n.Cover));
        json.WriteRawObject("tree_param", $$"""{"num_deleted":"0","num_feature":"{{featureCount}}","num_nodes":"{{nodes.Length}}","size_leaf_vector":"0"}""");
        json.WriteEndObject();
    }

    /// <summary>Breadth first: xgboost takes the right child to be the one after the left.</summary>
    private static ForestNode[] SiblingsSideBySide(ForestNode[] preorder)
    {
        var result = new List<ForestNode> { preorder[0] };
        for (int i = 0; i < result.Count; i++)
        {
            ForestNode node = result[i];
            if (!node.IsLeaf)
            {
                result[i] = node with { Left = result.Count, Right = result.Count + 1 };
                result.Add(preorder[node.Left]);
                result.Add(preorder[node.Right]);
            }
        }

        return [.. result];
    }

    /// <summary>A DMatrix.</summary>
    internal sealed class Matrix(Api api, nint handle, int resultSize) : IDisposable
    {
        public nint Handle { get; } = handle;

        public int ResultSize { get; } = resultSize;

        public void Dispose() => api.MatrixFree(Handle);
    }

    private readonly struct Pinned(float[] array) : IDisposable
    {
        private readonly GCHandle _handle = GCHandle.Alloc(array, GCHandleType.Pinned);

        public nint Address => _handle.AddrOfPinnedObject();

        public void Dispose() => _handle.Free();
    }

    internal sealed class XgboostException(string message) : Exception(message);

    /// <summary>The entry points that are used, found at run time because the library may be missing.</summary>
    internal sealed class Api(nint library)
    {
        public static readonly byte[] PredictConfig =
            """{"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"missing":NaN,"strict_shape":false,"cache_id":0}"""u8.ToArray().Append((byte)0).ToArray();

        public static readonly byte[] ContributionsConfig =
            """{"type":2,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false}"""u8.ToArray().Append((byte)0).ToArray();

        public readonly BoosterCreateFunction BoosterCreate = Find<BoosterCreateFunction>(library, "XGBoosterCreate");
        public readonly HandleFunction BoosterFree = Find<HandleFunction>(library, "XGBoosterFree");
        public readonly BoosterTextFunction BoosterSetParam = Find<BoosterTextFunction>(library, "XGBoosterSetParam");
        public readonly BoosterFileFunction BoosterLoadModel = Find<BoosterFileFunction>(library, "XGBoosterLoadModel");
        public readonly MatrixCreateFunction MatrixCreate = Find<MatrixCreateFunction>(library, "XGDMatrixCreateFromMat");
        public readonly HandleFunction MatrixFree = Find<HandleFunction>(library, "XGDMatrixFree");
        public readonly PredictDenseFunction PredictFromDense = Find<PredictDenseFunction>(library, "XGBoosterPredictFromDense");
        public readonly PredictMatrixFunction PredictFromMatrix = Find<PredictMatrixFunction>(library, "XGBoosterPredictFromDMatrix");
        private readonly LastErrorFunction _lastError = Find<LastErrorFunction>(library, "XGBGetLastError");

        public delegate int BoosterCreateFunction(nint matrices, ulong count, out nint booster);

        public delegate int HandleFunction(nint handle);

        public delegate int BoosterTextFunction(nint booster, [MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value);

        public delegate int BoosterFileFunction(nint booster, [MarshalAs(UnmanagedType.LPUTF8Str)] string file);

        public delegate int MatrixCreateFunction(nint values, ulong rows, ulong columns, float missing, out nint matrix);

        public delegate int PredictDenseFunction(nint booster, byte[] array, byte[] config, nint proxy, out nint shape, out ulong dimensions, out nint result);

        public delegate int PredictMatrixFunction(nint booster, nint matrix, byte[] config, out nint shape, out ulong dimensions, out nint result);

        private delegate nint LastErrorFunction();

        private delegate void VersionFunction(out int major, out int minor, out int patch);

        public string Version
        {
            get
            {
                Find<VersionFunction>(library, "XGBoostVersion")(out int major, out int minor, out int patch);
                return string.Create(CultureInfo.InvariantCulture, $"libxgboost {major}.{minor}.{patch}");
            }
        }

        public void Check(int status)
        {
            if (status != 0)
            {
                throw new XgboostException(Marshal.PtrToStringUTF8(_lastError()) ?? "unknown error");
            }
        }

        private static T Find<T>(nint library, string name)
            where T : Delegate => Marshal.GetDelegateForFunctionPointer<T>(NativeLibrary.GetExport(library, name));
    }
}

/// <summary>Short forms for <see cref="XgboostPeer"/>'s model file.</summary>
file static class JsonExtensions
{
    public static void WriteRawObject(this Utf8JsonWriter json, string name, string raw)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(raw);
    }

    public static void WriteNumbers(this Utf8JsonWriter json, string name, IEnumerable<int> values)
    {
        json.WriteStartArray(name);
        foreach (int value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    public static void WriteNumbers(this Utf8JsonWriter json, string name, IEnumerable<float> values)
    {
        json.WriteStartArray(name);
        foreach (float value in values)
        {
            // xgboost tells numbers from integers by their look, so there must be a point or an exponent.
            json.WriteRawValue(value.ToString("E8", CultureInfo.InvariantCulture));
        }

        json.WriteEndArray();
    }
}
