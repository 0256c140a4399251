"""What the sequence model catches more than the forest, in money, against what it costs more to compute.

    ./risk features --stream card-payments-sequence --from 2018-05-10 --to 2018-09-05 --out features.csv
    ./risk cost compare --model card-fraud@1 --json >forest.json
    ./risk cost compare --model card-fraud-sequence@1 --json >sequence.json
    /usr/bin/python3 models/card-fraud-sequence/lift.py --features features.csv \\
        --transactions streams/card-payments/transactions.csv.gz --forest-cost forest.json --sequence-cost sequence.json \\
        --out models/card-fraud-sequence/lift.json

Both models as they ship (trained on what was known on 2018-07-31, read from their model.onnx and held against their golden rows),
on the handbook's four test weeks, 2018-08-08 to 09-04, on the rows of ../protocol.py (cards known to be compromised left out).
Nothing is trained or chosen here. Money is the amount of the frauds that reviewers see at the same number of reviews a day:

  cards         a day's cards by their highest score, the first N are reviewed; caught are the day's frauds on them; a card that
                was found is left out for the rest of the week (card precision counts so)
  transactions  a day's transactions by score, the first N are reviewed; caught are the frauds among them

The range of the lift is a bootstrap over the 28 days (95 %, seeded). Compute is `risk cost compare` on the processor.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import torch
from onnx import numpy_helper
from torch import nn

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import protocol  # noqa: E402

FOREST, SEQUENCE = HERE.parent / "card-fraud" / "1", HERE / "1"
REVIEWS = (25, 50, 100, 200)
HEADLINE = 100  # reviews a day; card precision is measured at as many
DAYS_A_MONTH = 365.25 / 12
DRAWS, SEED = 10_000, 1
GOLDEN_DIFFERENCE_MAX = 1e-5


def manifest(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "model.json").read_text())


def forest_scores(bundle: Path, rows: np.ndarray) -> np.ndarray:
    """The TreeEnsembleRegressor of the bundle, tree by tree: x < threshold goes to the true side, a missing value where its node says."""
    fields = {a.name: a for a in onnx.load(str(bundle / "model.onnx")).graph.node[0].attribute}
    tree, node = np.array(fields["nodes_treeids"].ints), np.array(fields["nodes_nodeids"].ints)
    start = np.searchsorted(tree, np.arange(tree.max() + 1))  # nodes lie tree by tree, numbered from 0
    if not np.array_equal(node, np.arange(len(tree)) - start[tree]):
        raise SystemExit(f"{bundle}: the trees' nodes are not in order")
    is_leaf = np.array([mode == b"LEAF" for mode in fields["nodes_modes"].strings])
    feature, value = np.array(fields["nodes_featureids"].ints), np.array(fields["nodes_values"].floats, np.float32)
    true = start[tree] + np.array(fields["nodes_truenodeids"].ints)
    false = start[tree] + np.array(fields["nodes_falsenodeids"].ints)
    missing = np.array(fields["nodes_missing_value_tracks_true"].ints) == 1
    weight = np.zeros(len(tree), np.float64)
    weight[start[np.array(fields["target_treeids"].ints)] + np.array(fields["target_nodeids"].ints)] = fields["target_weights"].floats
    margin = np.full(len(rows), fields["base_values"].floats[0], np.float64)
    every = np.arange(len(rows))
    for root in start:
        at = np.full(len(rows), root)
        while not is_leaf[at].all():
            x = rows[every, feature[at]]
            goes_true = np.where(np.isnan(x), missing[at], x < value[at])
            at = np.where(is_leaf[at], at, np.where(goes_true, true[at], false[at]))
        margin += weight[at]
    return 1 / (1 + np.exp(-margin))


def sequence_scores(bundle: Path, rows: np.ndarray) -> np.ndarray:
    """The network of train.py with the weights of the bundle's graph."""
    spec = importlib.util.spec_from_file_location("train", HERE / "train.py")
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    given = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in onnx.load(str(bundle / "model.onnx")).graph.initializer}
    prepared = train.Prepared.__new__(train.Prepared)
    nn.Module.__init__(prepared)
    for name, source in (("lower", "bin_lower"), ("slope", "bin_slope"), ("mean", "mean"), ("scale", "scale")):
        prepared.register_buffer(name, given[source])
    members = []
    for n in range(train.MEMBERS):
        member = train.Member()
        for layer, source in (*((same, same) for same in ("structured", "query", "step", "key", "value", "joint")), ("out", "margin")):
            getattr(member, layer).load_state_dict({"weight": given[f"member_{n}_{source}_weight"].T.contiguous(), "bias": given[f"member_{n}_{source}_bias"]})
        members.append(member)
    return 1 / (1 + np.exp(-train.Model(prepared, members).margin(rows).astype(np.float64)))


def hold_against_golden(bundle: Path, scores: Any) -> float:
    golden = pd.read_csv(bundle / "golden.csv", dtype=np.float32)
    difference = float(np.abs(scores(bundle, golden.iloc[:, :-1].to_numpy(np.float32)) - golden["score"].to_numpy()).max())
    if not difference <= GOLDEN_DIFFERENCE_MAX:
        raise SystemExit(f"{bundle}: {difference} away from its golden rows")
    return difference


def caught_by_card(table: pd.DataFrame, reviews: int) -> list[float]:
    """Amounts a day."""
    found: set[int] = set()
    result = []
    for _, today in table.groupby("day"):
        today = today[~today["card"].isin(found)]
        cards = today.groupby("card").agg(score=("score", "max"), fraud=("fraud", "max"), amount=("lost", "sum"))
        first = cards.sort_values("score", ascending=False, kind="stable").head(reviews)
        found.update(first.index[first["fraud"] == 1].tolist())
        result.append(float(first["amount"].sum()))
    return result


def caught_by_transaction(table: pd.DataFrame, reviews: int) -> list[float]:
    return [float(today.sort_values("score", ascending=False, kind="stable").head(reviews)["lost"].sum()) for _, today in table.groupby("day")]


def interval(days: np.ndarray) -> tuple[float, float]:
    """95 % of the means of days drawn with replacement."""
    draws = np.random.RandomState(SEED).choice(days, (DRAWS, len(days))).mean(axis=1)
    return float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def processor_cost(file: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """The rented processor's row of `risk cost compare --json`, and its money for 1,000 decisions, by the share of its cores."""
    compared = json.loads(file.read_text())
    device = compared["pairings"][0]["devices"][0]
    if device["perThousandCoresShared"] is None:
        raise SystemExit(f"{file}: {device['name']} is too slow for the deadline")
    head = {"model": compared["model"], "device": device["name"], "machine": compared["pairings"][0]["machine"], "basis": device["timeBasis"], "priceBasis": device["priceBasis"], "load": compared["load"], "priceBook": compared["priceBook"], "currency": compared["currency"]}
    return head, device["perThousandCoresShared"]


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("features", "transactions", "forest-cost", "sequence-cost", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()

    names = {"forest": manifest(FOREST)["inputs"], "sequence": manifest(SEQUENCE)["inputs"]}
    together = list(dict.fromkeys(names["sequence"] + names["forest"]))
    rows = protocol.read_rows(options.features, options.transactions, lambda _: together)
    amount = rows.features[:, rows.names.index("amount")].astype(np.float64)
    golden = {"forest": hold_against_golden(FOREST, forest_scores), "sequence": hold_against_golden(SEQUENCE, sequence_scores)}

    weeks, days = [], {(kind, reviews, which): [] for kind in ("cards", "transactions") for reviews in REVIEWS for which in names}
    lost_days: list[float] = []
    tested = 0
    for start in protocol.PREQUENTIAL:
        first = protocol.day_number(start)
        test = protocol.test_rows(rows, first)
        tested += len(test)
        week: dict[str, Any] = {"testWeek": str(np.datetime64(first + 14, "D")), "rows": len(test), "frauds": int(rows.label[test].sum())}
        for which, scores in (("forest", forest_scores), ("sequence", sequence_scores)):
            columns = [rows.names.index(name) for name in names[which]]
            score = scores(FOREST if which == "forest" else SEQUENCE, np.ascontiguousarray(rows.features[test][:, columns]))
            week[which] = protocol.measure(rows, test, score)
            table = pd.DataFrame({"day": rows.day[test], "card": rows.customer[test], "fraud": rows.label[test], "score": score, "lost": amount[test] * rows.label[test]})
            for reviews in REVIEWS:
                days["cards", reviews, which] += caught_by_card(table, reviews)
                days["transactions", reviews, which] += caught_by_transaction(table, reviews)
        lost_days += table.groupby("day")["lost"].sum().tolist()
        weeks.append(week)
        protocol.say(f"{week}")

    measures = ("aucRoc", "averagePrecision", "cardPrecisionAt100")
    mean = {which: {m: round(float(np.mean([w[which][m] for w in weeks])), 4) for m in measures} for which in names}
    forest_head, forest_cost = processor_cost(options.forest_cost)
    sequence_head, sequence_cost = processor_cost(options.sequence_cost)
    if any(forest_head[key] != sequence_head[key] for key in ("load", "priceBook", "currency")):
        raise SystemExit("the two costs are of different loads, prices or currencies")
    extra = {"low": max(0.0, sequence_cost["low"] - forest_cost["high"]), "value": sequence_cost["value"] - forest_cost["value"], "high": sequence_cost["high"] - forest_cost["low"]}
    a_month = tested / len(lost_days) * DAYS_A_MONTH
    money = []
    for kind, reviews, _ in [key for key in days if key[2] == "forest"]:
        forest, sequence = np.array(days[kind, reviews, "forest"]), np.array(days[kind, reviews, "sequence"])
        low, high = interval(sequence - forest)
        money.append({
            "reviewsADay": reviews, "of": kind,
            "caughtADay": {"forest": rounded(forest.mean()), "sequence": rounded(sequence.mean()), "ofLost": rounded(float(np.mean(lost_days)))},
            "liftAMonth": {"low": rounded(low * DAYS_A_MONTH), "value": rounded(float((sequence - forest).mean()) * DAYS_A_MONTH), "high": rounded(high * DAYS_A_MONTH)},
        })
    head = next(m for m in money if m["reviewsADay"] == HEADLINE and m["of"] == "cards")["liftAMonth"]
    compute = {key: rounded(value * a_month / 1000) for key, value in extra.items()}
    if head["low"] > compute["high"]:
        conclusion = "it catches more than it costs, beyond the noise of these weeks"
    elif head["high"] < 0:
        conclusion = "it catches less than the forest, beyond the noise of these weeks, and costs more"
    else:
        conclusion = "no lift beyond the noise of these weeks: the range holds 0, so nothing pays for its computing"
    report = {
        "models": {"forest": f"card-fraud@1 {manifest(FOREST)['digest']}", "sequence": f"card-fraud-sequence@1 {manifest(SEQUENCE)['digest']}"},
        "goldenDifferenceMax": {which: float(f"{value:.2g}") for which, value in golden.items()},
        "testDays": len(lost_days), "testRows": tested, "weeks": weeks, "mean": mean,
        "money": money,
        "compute": {"forest": forest_head, "sequence": sequence_head, "perThousand": {"forest": forest_cost, "sequence": sequence_cost, "extra": extra}, "decisionsAMonth": round(a_month), "extraAMonth": compute},
        "conclusion": f"at {HEADLINE} cards a day: {conclusion}",
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    protocol.say(f"{report['money']}\n{report['compute']}\n{report['conclusion']}\nwritten to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
