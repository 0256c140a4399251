"""What the training scripts of the card fraud models share: the protocol they are judged by, and the frame of a bundle.

Protocol (Fraud Detection Handbook, Le Borgne, Siblini, Lebichot, Bontempi, 2022, chapters 3 and 5,
https://github.com/Fraud-Detection-Handbook/fraud-detection-handbook): train on the days 2018-07-25 to
07-31, wait 7 days for the labels, test on 08-08 to 08-14. Cards with a fraud in the training week are left
out of the test, and so are, day by day, those whose fraud has become known since. 58,264 rows, 385 frauds.
Two models are measured on that week:

  published  trained on the training week alone: what the handbook's table compares
  shipped    trained on all history that ends with the training week (its labels are known on 08-08)

Nothing is chosen on the test week. What is chosen, and the calibration, come from validation weeks with the same gap
that end on 07-31 at the latest, each judged by models trained only on what was known then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

# The handbook's windows reach back 30 + 7 days, so rows before this day have seen too little history.
HISTORY_START = "2018-05-10"
TRAIN_WEEK_START = "2018-07-25"
# First days of the training weeks whose test weeks calibrate and are reported in model.json; all end before the test week.
VALIDATION = ("2018-06-27", "2018-07-04", "2018-07-11")
# First days of the training weeks of the handbook's prequential means (chapter 5, ModelSelection: n_folds = 4, the last training
# week starts 3 weeks after 2018-07-25, each fold a week earlier); their test weeks are 08-08 to 09-04.
PREQUENTIAL = ("2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15")


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Rows:
    """The as-of feature rows in source order; `day` counts from 1970-01-01."""

    names: list[str]
    features: np.ndarray  # float32 [rows, features], NaN = missing
    label: np.ndarray
    customer: np.ndarray
    day: np.ndarray

    def between(self, first: int, last: int) -> np.ndarray:
        """Row numbers of the days first..last, both included."""
        return np.flatnonzero((self.day >= first) & (self.day <= last))


def read_rows(features: Path, transactions: Path, inputs: Callable[[list[str]], list[str]]) -> Rows:
    """Reads the feature file of `risk features` and joins the customer by transaction_id; `inputs` picks from its features."""
    names = list(pd.read_csv(features, nrows=0).columns)
    if names[:2] != ["transaction_id", "time"] or names[-1] != "label":
        raise SystemExit(f"{features}: expected columns transaction_id, time, features, label; found {names}")
    chosen = inputs(names[2:-1])
    types = {name: np.float32 for name in chosen} | {"transaction_id": np.int64, "time": str, "label": np.int8}
    table = pd.read_csv(features, usecols=list(types), dtype=types, float_precision="round_trip")
    owner = pd.read_csv(transactions, usecols=["transaction_id", "customer_id"], index_col="transaction_id")
    return Rows(
        names=chosen,
        features=np.ascontiguousarray(table[chosen].to_numpy(np.float32)),
        label=table["label"].to_numpy(),
        customer=owner["customer_id"].loc[table["transaction_id"]].to_numpy(),
        day=table["time"].str.slice(0, 10).to_numpy("datetime64[D]").astype(np.int64),
    )


def day_number(day: str) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def test_rows(rows: Rows, train_start: int, days: int = 7, delay: int = 7) -> np.ndarray:
    """Row numbers of the test week of the handbook's `get_train_test_set`."""
    train = rows.between(train_start, train_start + days - 1)
    known = set(rows.customer[train[rows.label[train] == 1]].tolist())
    kept: list[np.ndarray] = []
    for offset in range(days):
        became_known = rows.between(train_start + days + offset - 1, train_start + days + offset - 1)
        known.update(rows.customer[became_known[rows.label[became_known] == 1]].tolist())
        test_day = train_start + days + delay + offset
        today = rows.between(test_day, test_day)
        kept.append(today[~np.isin(rows.customer[today], list(known))])
    return np.concatenate(kept)


def card_precision(rows: Rows, test: np.ndarray, score: np.ndarray, top: int = 100) -> float:
    """Mean over days of the share of compromised cards among the `top` cards; cards found earlier are left out."""
    table = pd.DataFrame({"day": rows.day[test], "card": rows.customer[test], "fraud": rows.label[test], "score": score})
    found: set[int] = set()
    precisions: list[float] = []
    for _, today in table.groupby("day"):
        cards = today[~today["card"].isin(found)].groupby("card")[["score", "fraud"]].max()
        first = cards.sort_values("score", ascending=False, kind="stable").head(top)
        hits = first.index[first["fraud"] == 1]
        found.update(hits.tolist())
        precisions.append(len(hits) / top)
    return float(np.mean(precisions))


def measure(rows: Rows, test: np.ndarray, score: np.ndarray) -> dict[str, float]:
    return {
        "aucRoc": round(float(roc_auc_score(rows.label[test], score)), 4),
        "averagePrecision": round(float(average_precision_score(rows.label[test], score)), 4),
        "cardPrecisionAt100": round(card_precision(rows, test, score), 4),
    }


def fit_platt(margin: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """a, b of p = sigmoid(a·margin + b)."""
    fit = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000).fit(margin.reshape(-1, 1).astype(np.float64), label)
    return round(float(fit.coef_[0, 0]), 6), round(float(fit.intercept_[0]), 6)


def operating_points(calibrated: np.ndarray, label: np.ndarray) -> list[dict[str, float]]:
    """What a threshold would have meant: share of transactions at or above it, precision, recall."""
    points: list[dict[str, float]] = []
    for threshold in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        hit = calibrated >= threshold
        points.append({
            "threshold": threshold,
            "share": round(float(hit.mean()), 5),
            "precision": round(float(label[hit].mean()), 4) if hit.any() else 0.0,
            "recall": round(float(label[hit].sum() / label.sum()), 4),
        })
    return points


@dataclass(frozen=True)
class Judged:
    """A model after the protocol: `margin` is the shipped one's on the rows `test`."""

    model: Any
    test: np.ndarray
    margin: np.ndarray
    metrics: dict[str, dict[str, float]]
    calibration: tuple[float, float]
    weeks: list[dict[str, Any]]
    points: list[dict[str, float]]


def on_test_week(rows: Rows, train: Callable[[np.ndarray, str], Any]) -> tuple[Any, np.ndarray, np.ndarray, dict[str, dict[str, float]]]:
    """Trains both models of the test week: the shipped one, the test's rows, its margins there, and both models' measures."""
    history, week = day_number(HISTORY_START), day_number(TRAIN_WEEK_START)
    test = test_rows(rows, week)
    model = train(rows.between(history, week + 6), "shipped")
    margin = model.margin(rows.features[test])
    published = train(rows.between(week, week + 6), "published").margin(rows.features[test])
    metrics = {"published": measure(rows, test, published), "shipped": measure(rows, test, margin)}
    say(f"test week, {len(test)} rows, {int(rows.label[test].sum())} frauds: {metrics}")
    return model, test, margin, metrics


def judge(rows: Rows, train: Callable[[np.ndarray, str], Any]) -> Judged:
    """
    The whole protocol. `train` takes row numbers and "published" or "shipped", and gives something with a method
    margin(features) -> float32 [rows].
    """
    history = day_number(HISTORY_START)
    weeks: list[dict[str, Any]] = []
    margins: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in VALIDATION:
        first = day_number(start)
        everyone = rows.between(first + 14, first + 20)
        test = test_rows(rows, first)
        published = train(rows.between(first, first + 6), "published").margin(rows.features[test])
        shipped = train(rows.between(history, first + 6), "shipped").margin(rows.features[everyone])
        margins.append(shipped)
        labels.append(rows.label[everyone])
        weeks.append({
            "testWeek": str(np.datetime64(first + 14, "D")),
            "published": measure(rows, test, published),
            "shipped": measure(rows, test, shipped[np.searchsorted(everyone, test)]),
        })
        say(f"validation {weeks[-1]}")
    a, b = fit_platt(np.concatenate(margins), np.concatenate(labels))
    calibrated = 1 / (1 + np.exp(-(a * np.concatenate(margins).astype(np.float64) + b)))
    points = operating_points(calibrated, np.concatenate(labels))
    for point in points:
        say(f"on the validation weeks {point}")
    model, test, margin, metrics = on_test_week(rows, train)
    return Judged(model, test, margin, metrics, (a, b), weeks, points)


def prequential(rows: Rows, train: Callable[[np.ndarray, str], Any]) -> dict[str, Any]:
    """
    Mean and population standard deviation over the handbook's four test weeks, each judged by a model trained on its own training
    week alone: what the handbook's prequential table holds. Nothing is chosen here.
    """
    if rows.day.max() < day_number(PREQUENTIAL[-1]) + 20:
        raise SystemExit("the features end before the last of the four test weeks, 2018-09-04: run `risk features` with --to 2018-09-05")
    weeks: list[dict[str, Any]] = []
    for start in PREQUENTIAL:
        first = day_number(start)
        test = test_rows(rows, first)
        measures = measure(rows, test, train(rows.between(first, first + 6), "published").margin(rows.features[test]))
        weeks.append({"testWeek": str(np.datetime64(first + 14, "D")), "rows": len(test), "frauds": int(rows.label[test].sum()), **measures})
        say(f"prequential {weeks[-1]}")
    names = ("aucRoc", "averagePrecision", "cardPrecisionAt100")
    over = {name: [week[name] for week in weeks] for name in names}
    return {
        "weeks": weeks,
        "mean": {name: round(float(np.mean(over[name])), 4) for name in names},
        "standardDeviation": {name: round(float(np.std(over[name])), 4) for name in names},
    }


# ------------------------------------------------------------------------------------------------ the bundle


def number_text(value: float) -> str:
    return "NaN" if np.isnan(value) else f"{value:.9g}"


def golden_csv(names: list[str], features: np.ndarray, score: np.ndarray) -> str:
    lines = [",".join([*names, "score"])]
    lines += [",".join([*map(number_text, row), number_text(expected)]) for row, expected in zip(features, score)]
    return "\n".join(lines) + "\n"


def bundle(name: str, version: str, rows: Rows, judged: Judged, onnx_bytes: bytes, golden: np.ndarray, expected: np.ndarray,
           form: dict[str, Any], trained_with: dict[str, Any]) -> dict[str, bytes]:
    """The bundle's files by name."""
    week = day_number(TRAIN_WEEK_START)
    trained = rows.between(day_number(HISTORY_START), week + 6)
    a, b = judged.calibration
    description = {
        "name": name,
        "version": version,
        "purpose": "fraud",
        "owner": "card payments fraud team",
        "developer": "Risk project",
        "validator": "model validation, independent of the developer",
        "materiality": "high",
        "licence": "Apache-2.0",
        "model": "model.onnx",
        "digest": "sha256:" + hashlib.sha256(onnx_bytes).hexdigest(),
        "inputs": rows.names,
        "output": "score",
        "calibration": {"method": "platt", "a": a, "b": b},
        "form": form,
        "trainedWith": trained_with,
        "trainingData": {
            "source": "streams/card-payments, simulated (Fraud Detection Handbook)",
            "from": HISTORY_START,
            "to": str(np.datetime64(week + 6, "D")),
            "rows": int(len(trained)),
            "frauds": int(rows.label[trained].sum()),
            "labelDelay": "7d",
        },
        "protocol": {
            "trainWeek": [TRAIN_WEEK_START, str(np.datetime64(week + 6, "D"))],
            "testWeek": [str(np.datetime64(week + 14, "D")), str(np.datetime64(week + 20, "D"))],
            "testRows": int(len(judged.test)),
            "testFrauds": int(rows.label[judged.test].sum()),
            "knownCompromisedCards": "left out of the test day by day",
        },
        "metrics": judged.metrics,
        "validation": {"weeks": judged.weeks, "operatingPoints": judged.points},
    }
    return {
        "model.onnx": onnx_bytes,
        "model.json": (json.dumps(description, indent=2) + "\n").encode(),
        "golden.csv": golden_csv(rows.names, golden, expected).encode(),
    }


def without_variants(name: str, content: bytes) -> bytes:
    """The file as a training script writes it: `risk model convert` adds to the manifest later."""
    if name != "model.json":
        return content
    manifest = json.loads(content)
    manifest.pop("variants", None)
    return (json.dumps(manifest, indent=2) + "\n").encode()


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The command line that all training scripts have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, help="what `risk features` wrote")
    parser.add_argument("--transactions", type=Path, required=True, help="the stream, for customer_id")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's directory")
    parser.add_argument("--check", action="store_true", help="train again and compare with --out; 1 if a byte differs")
    parser.add_argument("--prequential", type=Path, metavar="FILE", help="judge by the handbook's four test weeks instead and write the measures there; no bundle is written")
    return parser


def write_prequential(rows: Rows, train: Callable[[np.ndarray, str], Any], file: Path) -> int:
    """Judges by the four test weeks and writes what was found; the exit status."""
    file.write_text(json.dumps(prequential(rows, train), indent=2) + "\n")
    say(f"written to {file}")
    return 0


def write(rows: Rows, build: Callable[[Rows], dict[str, bytes]], out: Path, is_check: bool) -> int:
    """Trains, and writes the bundle or compares it; the exit status."""
    say(f"{len(rows.label)} rows, {len(rows.names)} features, {int(rows.label.sum())} frauds")
    files = build(rows)
    if is_check:
        differing = [name for name, content in files.items() if without_variants(name, (out / name).read_bytes()) != content]
        say("identical" if not differing else f"different: {', '.join(differing)}")
        return 1 if differing else 0
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    say(f"written to {out}")
    return 0
