"""Trains the sequence model of card fraud and writes its bundle. Runs with Debian's packages:

    apt-get install -y --no-install-recommends python3-torch python3-xgboost python3-sklearn python3-pandas python3-onnx
    ./risk features --stream card-payments-sequence --from 2018-05-10 --to 2018-08-15 --out features.csv
    /usr/bin/python3 models/card-fraud-sequence/train.py --features features.csv \\
        --transactions streams/card-payments/transactions.csv.gz --out models/card-fraud-sequence/1

Attention over the card's last 16 payments of 30 days (amount and age of each), asked by an embedding of the features that
the forest reads, too. The graph takes flat rows; it splits, scales and fills in what is missing by itself, and consists of
operators that every accelerator's execution provider has (no recurrent cell: WebGPU, for one, has no kernel for it).

Protocol, test rows and measures are those of ../protocol.py. One thread and fixed seeds: the same machine and library give
the same bytes. With --without-history the 16 payments are taken away in training and test and the measures of the test week
are said, nothing is written: what they add is the difference to model.json. On this stream that is nothing (2026-11-22, test
week, with and without: AUC .9052 and .9053, average precision .7521 and .7524, card precision .3043 and .3043): the
structured features already say what the payments before say about a fraud.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import protocol  # noqa: E402

NAME, VERSION = "card-fraud-sequence", "1"
STEPS = 16
AMOUNTS = [f"customer_amount_back_{n}" for n in range(1, STEPS + 1)]
AGES = [f"customer_seconds_back_{n}" for n in range(1, STEPS + 1)]
USUAL = "customer_amount_mean_60d_delay_14d"
STRUCTURED = [
    "amount", "terminal_fraud_rate_1d_delay_7d", "terminal_fraud_rate_7d_delay_7d", "terminal_fraud_rate_30d_delay_7d",
    "amount_over_usual", "amount_minus_usual", "amount_deviations", "amount_over_mean_before",
    "customer_max_7d_over_usual", "customer_max_14d_over_usual", "terminal_seconds_since_last_delay_7d",
    "terminal_fraud_rate_2d_delay_7d", "terminal_fraud_rate_3d_delay_7d", "terminal_fraud_rate_5d_delay_7d",
    "terminal_fraud_rate_14d_delay_7d", "terminal_fraud_rate_21d_delay_7d", "terminal_fraud_count_7d_delay_7d",
    "terminal_fraud_rate_7d_delay_27d", USUAL,
]
INPUTS = STRUCTURED + AMOUNTS + AGES
WIDTH, HEADS, MEMBERS = 32, 4, 2

# Epochs, and the share of the negatives that each epoch draws afresh (weighted so that the mean stays). Chosen on the test
# weeks 2018-07-18 and 07-25 of the validation splits, with the bins, which gave .03 of average precision.
PUBLISHED, SHIPPED = (10, 1.0), (4, 0.3)

CLIP, BINS = 6.0, 16

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def signed_log(x: torch.Tensor) -> torch.Tensor:
    return torch.log(1 + torch.relu(x)) - torch.log(1 + torch.relu(-x))


class Prepared(nn.Module):
    """Rows of raw features to scaled values with marks for what is missing. Its constants come from the training rows."""

    def __init__(self, rows: np.ndarray, label: np.ndarray) -> None:
        super().__init__()
        edges = np.stack([self.edges(rows[:, i], label) for i in range(len(STRUCTURED))])
        self.register_buffer("lower", torch.tensor(edges[:, :-1]))
        self.register_buffer("slope", torch.tensor(1 / (edges[:, 1:] - edges[:, :-1])))
        values = np.sign(rows) * np.log1p(np.abs(rows.astype(np.float64)))
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        for group in (slice(len(STRUCTURED), len(STRUCTURED) + STEPS), slice(len(STRUCTURED) + STEPS, None)):
            mean[group], std[group] = np.nanmean(values[:, group]), np.nanstd(values[:, group])
        mean, std = np.nan_to_num(mean), np.nan_to_num(std)  # of a column that nobody has (--without-history)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(1 / np.maximum(std, 1e-3), dtype=torch.float32))

    @staticmethod
    def edges(values: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Ascending edges of BINS bins: half by the quantiles of the frauds, half by those of all rows."""
        known = ~np.isnan(values)
        wanted = np.linspace(0.02, 0.98, BINS // 2)
        found = np.unique(np.concatenate([
            np.quantile(values[known & (label == 1)], wanted), np.quantile(values[known], wanted), [values[known].min(), np.quantile(values[known], 0.9995)],
        ]).astype(np.float32))
        if len(found) < 2 or found[-1] <= found[0]:
            found = np.array([0, 1], np.float32)
        # Where values repeat there are fewer: the widest bins are halved.
        while len(found) < BINS + 1:
            at = int(np.argmax(np.diff(found)))
            found = np.insert(found, at + 1, (found[at] + found[at + 1]) / 2)
        keep = np.unique(np.linspace(0, len(found) - 1, BINS + 1).round().astype(int))
        return found[keep].astype(np.float32)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scaled values, marks of what is there, and how far each structured feature reaches into each of its bins."""
        present = (x == x).float()
        known = torch.where(x == x, x, torch.zeros_like(x))
        scaled = torch.clamp((signed_log(known) - self.mean) * self.scale, -CLIP, CLIP)
        count = len(STRUCTURED)
        bins = torch.clamp((known[:, :count, None] - self.lower) * self.slope, 0, 1) * present[:, :count, None]
        return scaled * present, present, bins.reshape(-1, count * BINS)


class Member(nn.Module):
    """One network: margin of a row."""

    def __init__(self) -> None:
        super().__init__()
        count = len(STRUCTURED)
        self.structured = nn.Linear((2 + BINS) * count, 2 * WIDTH)
        self.query = nn.Linear(2 * WIDTH, WIDTH)
        self.step = nn.Linear(5, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.joint = nn.Linear(3 * WIDTH, 2 * WIDTH)
        self.out = nn.Linear(2 * WIDTH, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, scaled: torch.Tensor, present: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
        count = len(STRUCTURED)
        flat = torch.cat([scaled[:, :count], present[:, :count], bins], 1)
        hidden = self.dropout(torch.relu(self.structured(flat)))
        amounts, ages = scaled[:, count:count + STEPS], scaled[:, count + STEPS:]
        there = present[:, count:count + STEPS]
        now = scaled[:, :1] * torch.ones_like(amounts)
        usual = scaled[:, count - 1:count] * torch.ones_like(amounts)
        steps = torch.relu(self.step(torch.stack([amounts, ages, amounts - now, amounts - usual, there], 2)))
        size = WIDTH // HEADS
        query = self.query(hidden).view(-1, 1, HEADS, size).transpose(1, 2)        # [N, heads, 1, size]
        keys = self.key(steps).view(-1, STEPS, HEADS, size).transpose(1, 2)        # [N, heads, steps, size]
        values = self.value(steps).view(-1, STEPS, HEADS, size).transpose(1, 2)
        attention = query @ keys.transpose(2, 3) * (size ** -0.5) + ((there - 1) * 1e4)[:, None, None, :]
        weights = torch.softmax(attention, 3) * there[:, None, None, :]            # without any step: all zero
        context = (weights @ values).transpose(1, 2).reshape(-1, WIDTH)
        return self.out(self.dropout(torch.relu(self.joint(torch.cat([hidden, context], 1)))))[:, 0]


class Model:
    """The mean margin of a few networks that differ by their seed."""

    def __init__(self, prepared: Prepared, members: list[Member]) -> None:
        self.prepared, self.members = prepared.eval(), [m.eval() for m in members]

    @torch.no_grad()
    def margin(self, rows: np.ndarray) -> np.ndarray:
        parts = []
        for first in range(0, len(rows), 8192):
            prepared = self.prepared(torch.from_numpy(rows[first:first + 8192]))
            parts.append(sum(m(*prepared) for m in self.members) / len(self.members))
        return torch.cat(parts).numpy()


def train(rows: np.ndarray, label: np.ndarray, recipe: tuple[int, float], members: int = MEMBERS) -> Model:
    """Logistic loss, AdamW with a one-cycle rate, an exponential mean of the weights over the last part."""
    epochs, kept = recipe
    prepared = Prepared(rows, label)
    positive, negative = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    result = []
    for seed in range(members):
        torch.manual_seed(seed + 1)
        random = np.random.RandomState(seed + 1)
        member = Member()
        optimizer = torch.optim.AdamW(member.parameters(), lr=1e-3, weight_decay=1e-2)
        count = len(positive) + int(len(negative) * kept)
        batch = 512
        steps = epochs * (count // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps + 1)
        average = {k: v.clone() for k, v in member.state_dict().items()}
        taken = 0
        for _ in range(epochs):
            chosen = np.concatenate([positive, random.choice(negative, int(len(negative) * kept), replace=False)])
            random.shuffle(chosen)
            for first in range(0, count - batch + 1, batch):
                selected = np.sort(chosen[first:first + batch])
                with torch.no_grad():
                    inputs = prepared(torch.from_numpy(rows[selected]))
                y = torch.from_numpy(label[selected].astype(np.float32))
                loss = nn.functional.binary_cross_entropy_with_logits(member(*inputs), y, weight=torch.where(y > 0, 1.0, 1 / kept))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(member.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                taken += 1
                for k, v in member.state_dict().items():
                    average[k].mul_(0.995).add_(v, alpha=0.005) if taken > 1 else average[k].copy_(v)
        member.load_state_dict(average)
        result.append(member)
    return Model(prepared, result)


# ------------------------------------------------------------------------------------------------------- ONNX


class Graph:
    """Collects nodes and constants; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, value: Any, kind: Any = np.float32) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def columns(self, name: str, source: str, first: int, last: int) -> str:
        return self.node("Slice", name, source, self.constant(f"{name}_from", [first], np.int64), self.constant(f"{name}_to", [last], np.int64),
                         self.constant("columns_axis", [1], np.int64))

    def reshape(self, name: str, source: str, *shape: int) -> str:
        return self.node("Reshape", name, source, self.constant(f"{name}_shape", shape, np.int64))

    def linear(self, name: str, source: str, layer: nn.Linear) -> str:
        return self.node("Gemm", name, source, self.constant(f"{name}_weight", layer.weight.detach().numpy().T.copy()), self.constant(f"{name}_bias", layer.bias.detach().numpy()))

    def sum(self, name: str, source: str, axis: int) -> str:
        return self.node("ReduceSum", name, source, self.constant(f"sum_axis_{axis}", [axis], np.int64), keepdims=0)


def to_onnx(model: Model) -> onnx.ModelProto:
    """The same arithmetic as Prepared and Member, operator by operator."""
    g, count, prepared = Graph(), len(STRUCTURED), model.prepared
    one, zero = g.constant("one", 1.0), g.constant("zero", 0.0)
    is_number = g.node("Equal", "is_number", "features", "features")
    present = g.node("Cast", "present", is_number, to=TensorProto.FLOAT)
    known = g.node("Where", "known", is_number, "features", zero)
    above = g.node("Log", "log_above", g.node("Add", "above_and_one", g.node("Relu", "above", known), one))
    below = g.node("Log", "log_below", g.node("Add", "below_and_one", g.node("Relu", "below", g.node("Neg", "negated", known)), one))
    centred = g.node("Sub", "centred", g.node("Sub", "signed_log", above, below), g.constant("mean", prepared.mean.numpy()))
    clipped = g.node("Clip", "clipped", g.node("Mul", "unit", centred, g.constant("scale", prepared.scale.numpy())), g.constant("clip_low", -CLIP), g.constant("clip_high", CLIP))
    scaled = g.node("Mul", "scaled", clipped, present)

    there_now = g.columns("structured_present", present, 0, count)
    reach = g.node("Mul", "reach", g.node("Sub", "over_edge", g.reshape("structured_known", g.columns("structured_values", known, 0, count), -1, count, 1),
                                           g.constant("bin_lower", prepared.lower.numpy())), g.constant("bin_slope", prepared.slope.numpy()))
    bins = g.node("Mul", "bins_by_feature", g.node("Clip", "reach_in_bin", reach, zero, one), g.reshape("structured_there", there_now, -1, count, 1))
    flat = g.node("Concat", "flat", g.columns("structured_scaled", scaled, 0, count), there_now, g.reshape("bins", bins, -1, count * BINS), axis=1)

    amounts, ages = g.columns("amounts", scaled, count, count + STEPS), g.columns("ages", scaled, count + STEPS, count + 2 * STEPS)
    there = g.columns("there", present, count, count + STEPS)
    parts = [amounts, ages, g.node("Sub", "over_now", amounts, g.columns("now", scaled, 0, 1)),
             g.node("Sub", "over_usual", amounts, g.columns("usual", scaled, count - 1, count)), there]
    steps = g.reshape("step_rows", g.node("Concat", "steps", *[g.reshape(f"step_part_{i}", part, -1, STEPS, 1) for i, part in enumerate(parts)], axis=2), -1, 5)
    there3 = g.reshape("there_by_head", there, -1, STEPS, 1)
    mask = g.node("Mul", "mask", g.node("Sub", "absent", there3, one), g.constant("far", 1e4))

    # Products of a row's own query, keys and values are sums of products by element: as batches of tiny matrix products they
    # took WebGPU (on a software device) four times as long.
    size, margins = WIDTH // HEADS, []
    for n, member in enumerate(model.members):
        def name(text: str) -> str:
            return f"member_{n}_{text}"
        hidden = g.node("Relu", name("hidden"), g.linear(name("structured"), flat, member.structured))
        embedded = g.node("Relu", name("embedded"), g.linear(name("step"), steps, member.step))
        query = g.reshape(name("query_by_head"), g.linear(name("query"), hidden, member.query), -1, 1, HEADS, size)
        keys = g.reshape(name("key_by_head"), g.linear(name("key"), embedded, member.key), -1, STEPS, HEADS, size)
        values = g.reshape(name("value_by_head"), g.linear(name("value"), embedded, member.value), -1, STEPS, HEADS, size)
        likeness = g.sum(name("likeness"), g.node("Mul", name("likeness_by_part"), keys, query), 3)
        attention = g.node("Add", name("masked"), g.node("Mul", name("attention"), likeness, g.constant("attention_scale", size ** -0.5)), mask)
        weights = g.node("Mul", name("weights"), g.node("Softmax", name("softmax"), attention, axis=1), there3)
        seen = g.node("Mul", name("seen"), values, g.reshape(name("weights_by_head"), weights, -1, STEPS, HEADS, 1))
        context = g.reshape(name("context"), g.sum(name("context_by_head"), seen, 1), -1, WIDTH)
        joint = g.node("Relu", name("joint_active"), g.linear(name("joint"), g.node("Concat", name("both"), hidden, context, axis=1), member.joint))
        margins.append(g.linear(name("margin"), joint, member.out))
    total = margins[0]
    for n, margin in enumerate(margins[1:]):
        total = g.node("Add", f"total_{n}", total, margin)
    g.node("Sigmoid", "score", g.node("Mul", "margin", total, g.constant("share", 1 / len(margins))))
    graph = helper.make_graph(
        g.nodes, NAME, [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(INPUTS)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])], list(g.constants.values()))
    result = helper.make_model(graph, producer_name="risk", ir_version=8, opset_imports=[helper.make_opsetid("", 15)])
    onnx.checker.check_model(result)
    return result


def expected_scores(model: Model, rows: np.ndarray) -> np.ndarray:
    """In double precision, so that whoever runs the graph is measured against the function and not against another rounding."""
    with torch.no_grad():
        copies = [m.double() for m in model.members]
        prepared = model.prepared.double()(torch.from_numpy(rows.astype(np.float64)))
        margin = sum(m(*(part.double() for part in prepared)) for m in copies) / len(copies)
        model.prepared.float()
        for member in copies:
            member.float()
        return torch.sigmoid(margin).numpy()


# ------------------------------------------------------------------------------------------------- the bundle


def golden_rows(rows: protocol.Rows, test: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Real rows over the whole range of scores; rows with each feature missing, with shorter and shorter histories, and extreme ones."""
    random = np.random.RandomState(1)
    by_score = test[np.argsort(-margin, kind="stable")]
    real = rows.features[np.concatenate([by_score[:150], np.sort(random.choice(by_score[150:], 250, replace=False))])]
    result = list(real)
    for value in (np.nan, 0.0, -0.0, 1.0, -1.0, 1e30, -1e30):
        result.append(np.full(len(INPUTS), value, np.float32))
    for feature in range(len(INPUTS)):
        row = real[feature * 7 % len(real)].copy()
        row[feature] = np.nan
        result.append(row)
    for length in range(STEPS + 1):
        row = real[length * 11 % len(real)].copy()
        row[len(STRUCTURED) + length:len(STRUCTURED) + STEPS] = np.nan
        row[len(STRUCTURED) + STEPS + length:] = np.nan
        result.append(row)
    return np.array(result, np.float32)


def build(rows: protocol.Rows) -> dict[str, bytes]:
    """Trains, measures and returns the bundle's files by name."""
    judged = protocol.judge(rows, lambda selected, which: train_on(rows, selected, which))
    model = judged.model
    golden = golden_rows(rows, judged.test, judged.margin)
    return protocol.bundle(
        NAME, VERSION, rows, judged, to_onnx(model).SerializeToString(deterministic=True), golden, expected_scores(model, golden),
        form={"attentionHeads": HEADS, "width": WIDTH, "steps": STEPS, "members": MEMBERS,
              "parameters": sum(p.numel() for m in model.members for p in m.parameters())},
        trained_with={"torch": torch.__version__, "epochs": SHIPPED[0], "negativesKept": SHIPPED[1],
                      "published": {"epochs": PUBLISHED[0], "negativesKept": PUBLISHED[1]}})


def train_on(rows: protocol.Rows, selected: np.ndarray, which: str) -> Model:
    return train(rows.features[selected], rows.label[selected], PUBLISHED if which == "published" else SHIPPED)


def without_history(rows: protocol.Rows) -> int:
    """The same networks, protocol and seeds with every card's past payments missing; says the measures of the test week."""
    rows.features[:, len(STRUCTURED):] = np.nan
    protocol.on_test_week(rows, lambda selected, which: train_on(rows, selected, which))
    return 0


def main() -> int:
    parser = protocol.arguments(__doc__)
    parser.add_argument("--without-history", action="store_true", help="measure what the 16 payments add; writes nothing")
    options = parser.parse_args()
    rows = protocol.read_rows(options.features, options.transactions, lambda names: INPUTS)
    if options.prequential:
        return protocol.write_prequential(rows, lambda selected, which: train_on(rows, selected, which), options.prequential)
    return without_history(rows) if options.without_history else protocol.write(rows, build, options.out, options.check)


if __name__ == "__main__":
    sys.exit(main())
