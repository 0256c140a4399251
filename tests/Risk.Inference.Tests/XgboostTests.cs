using System.Diagnostics;
using System.Text.Json;
using Risk.Core.Explanations;
using Risk.Core.Models;

namespace Risk.Inference.Tests;

/// <summary>Scores and contributions beside xgboost's own, on a model that xgboost trains here with missing values and few features.</summary>
public sealed class XgboostTests
{
    private const string Script = """
        import json, sys
        import numpy as np, xgboost as xgb
        random = np.random.RandomState(3)
        rows = random.randint(-6, 7, (3000, 7)).astype(np.float32) / 4
        rows[random.rand(*rows.shape) < 0.1] = np.nan
        label = (np.nan_to_num(rows[:, 0] * rows[:, 1] + rows[:, 2]) + random.randn(3000) * 0.3 > 0).astype(int)
        matrix = xgb.DMatrix(rows, label=label, nthread=1)
        model = xgb.train({"objective": "binary:logistic", "max_depth": 6, "eta": 0.2, "base_score": 0.5, "nthread": 1}, matrix, 40)
        some = xgb.DMatrix(rows[:200], nthread=1)
        text = lambda values: [None if np.isnan(v) else float(v) for v in values.ravel()]
        json.dump({"trees": json.loads(model.save_raw("json").decode())["learner"]["gradient_booster"]["model"]["trees"],
                   "rows": text(rows[:200]), "scores": text(model.predict(some)), "contributions": text(model.predict(some, pred_contribs=True))}, sys.stdout)
        """;

    [FactWithXgboost]
    public void ScoresAndContributions_AreXgboosts()
    {
        using var document = JsonDocument.Parse(FactWithXgboostAttribute.Python(Script)!);
        var root = document.RootElement;
        var trees = root.GetProperty("trees").EnumerateArray().Select(Tree).ToList();
        Assert.True(Forest.TryBuild(trees, 7, 0, ForestLink.Logistic, "features", "score", out var forest, out var refusal), refusal?.Reason);
        var rows = Floats(root, "rows");
        var expected = Floats(root, "contributions");

        using var kernel = new ForestKernel(forest, 200);
        var scores = new float[200];
        Assert.Equal(ScoringStatus.Scored, kernel.Score(rows, 200, scores));
        Assert.True(ConformanceReport.Compare("xgboost", scores, Floats(root, "scores")).Conforms);

        Assert.True(TreeShap.TryCreate(forest, out var explainer, out refusal), refusal?.Reason);
        var contributions = new double[7];
        for (var r = 0; r < 200; r++)
        {
            explainer.Explain(rows.AsSpan(r * 7, 7), contributions);
            for (var f = 0; f < 7; f++)
            {
                Assert.Equal(expected[(r * 8) + f], contributions[f], 2e-5); // xgboost computes in float32
            }

            Assert.Equal(expected[(r * 8) + 7], explainer.ExpectedMargin, 2e-5);
        }
    }

    private static float[] Floats(JsonElement root, string name) =>
        root.GetProperty(name).EnumerateArray().Select(v => v.ValueKind == JsonValueKind.Null ? float.NaN : v.GetSingle()).ToArray();

    private static ForestNode[] Tree(JsonElement tree)
    {
        int[] Integers(string name) => tree.GetProperty(name).EnumerateArray().Select(v => v.ValueKind == JsonValueKind.True ? 1 : v.ValueKind == JsonValueKind.False ? 0 : v.GetInt32()).ToArray();
        var (left, right, features, missingLeft) = (Integers("left_children"), Integers("right_children"), Integers("split_indices"), Integers("default_left"));
        var (conditions, covers) = (Floats(tree, "split_conditions"), Floats(tree, "sum_hessian"));

        // Breadth first from the root: pruned nodes stay behind.
        var order = new List<int> { 0 };
        for (var i = 0; i < order.Count; i++)
        {
            if (left[order[i]] >= 0)
            {
                order.AddRange([left[order[i]], right[order[i]]]);
            }
        }

        return order.Select(n => left[n] < 0
            ? ForestNode.Leaf(conditions[n], covers[n])
            : ForestNode.Split(features[n], conditions[n], order.IndexOf(left[n]), order.IndexOf(right[n]), missingLeft[n] == 0, covers[n])).ToArray();
    }

    /// <summary>Skipped, with the reason, where Debian's python3-xgboost is not installed.</summary>
    private sealed class FactWithXgboostAttribute : FactAttribute
    {
        private const string Interpreter = "/usr/bin/python3";

        public FactWithXgboostAttribute()
        {
            if (!File.Exists(Interpreter) || Python("import xgboost; print(1)") is null)
            {
                Skip = "python3-xgboost is not installed (apt-get install python3-xgboost)";
            }
        }

        /// <summary>Standard output, or null when the script fails.</summary>
        public static string? Python(string script)
        {
            using var process = Process.Start(new ProcessStartInfo(Interpreter) { ArgumentList = { "-c", script }, RedirectStandardOutput = true, RedirectStandardError = true })!;
            var error = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            _ = error.Result;
            return process.ExitCode == 0 ? output : null;
        }
    }
}
