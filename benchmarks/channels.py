"""Channel groups of every model of `keras.applications`: what is tied, and how fast.

    python -m benchmarks.channels
    python -m benchmarks.channels --names=VGG16 --names=NASNetLarge

Each model has random weights, no top, and the smallest input that it allows. Prints a
table; `--plot` also writes the curve of time over the number of calls.
`make test-large` measures the same, compares with an oracle, and writes the page
docs/channels.md.
"""

import dataclasses
import os
import pathlib
import time

import numpy as np
from absl import app, flags

from benchmarks.applications import MODELS, build

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_NAMES = flags.DEFINE_multi_enum("names", MODELS, MODELS, "Which models.")
_PLOT = flags.DEFINE_string("plot", "", "A .png for the curve, if any.")
ENDS = ("input of the model", "output of the model")


@dataclasses.dataclass(frozen=True)
class Row:
    """Results of `channel_groups`, `select_channels` and `prune` for one model.

    Attributes:
        name: The model.
        calls: Number of calls of layers and operations.
        channels: Number of output channels of layers that have weights.
        groups: Number of groups.
        prunable: Number of groups that may be removed.
        reasons: Why others are kept, except inputs and outputs of the model.
        mixing: Number of layers with statistics across channels.
        seconds: Wall time of `channel_groups`, the best of three.
        half: Share of the FLOPs that is kept by a plan for one half, with random
            scores.
        prune_seconds: Wall time of `prune` by that plan.
        difference: Largest difference of the pruned model's outputs to the oracle's,
            relative to the largest output; NaN if it was not measured.
    """

    name: str
    calls: int
    channels: int
    groups: int
    prunable: int
    reasons: tuple[str, ...]
    mixing: int
    seconds: float
    half: float
    prune_seconds: float
    difference: float = float("nan")


def measure(name, model):
    """Returns a `Row` without the difference, the plan and the pruned model."""
    import keras_basisprune as kbp
    from keras_basisprune.graph.trace import trace

    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        groups = kbp.graph.channel_groups(model)
        seconds.append(time.perf_counter() - start)
    scores = np.random.default_rng(0).random(len(groups))
    plan = kbp.select_channels(model, scores=scores, keep=0.5, scope="global")
    start = time.perf_counter()
    small = kbp.prune(model, plan)
    prune_seconds = time.perf_counter() - start
    row = Row(
        name,
        len(trace(model).calls),
        sum(map(len, groups.layers.values())),
        len(groups),
        len(groups) - len(groups.pinned),
        tuple(sorted(set(groups.pinned.values()) - set(ENDS))),
        len(groups.mixing),
        min(seconds),
        kbp.measure.cost(small).flops / kbp.measure.cost(model).flops,
        prune_seconds,
    )
    return row, plan, small


def table(rows) -> str:
    """Returns a Markdown table."""
    columns = (
        "model | calls | channels | groups | prunable | stays because | across "
        "channels | channel_groups, s | half | prune, s | to the oracle"
    )
    lines = [f"| {columns} |", "|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        reasons = "; ".join(row.reasons) or "in- or output"
        lines.append(
            f"| {row.name} | {row.calls:,} | {row.channels:,} | {row.groups:,} "
            f"| {row.prunable:,} | {reasons} | {row.mixing} | {row.seconds:.2f} "
            f"| {row.half:.3f} | {row.prune_seconds:.1f} | {row.difference:.0e} |"
        )
    return "\n".join(lines)


_HEAD = """# Channels of all models of Keras Applications

Written by `make test-large`, which also checks the numbers: random weights, random
BatchNormalization, no top, the smallest input that each model allows.

- *channels*: output channels of all layers with weights, including normalization;
  *groups*: sets of channels that leave together; *prunable*: groups that may leave;
  *stays because*: why the others may not.
- *across channels*: layers that compute statistics across channels (LayerNormalization,
  GroupNormalization).
- *channel_groups* (the best of three), *prune*: wall-clock seconds on two cores that
  ran other jobs too.
- *half*: the share of the FLOPs that is left, counted by `kbp.measure.cost` after
  `prune`, when `select_channels` was asked for 0.5 with random scores.
- *to the oracle*: largest difference of the pruned model's outputs from those of the
  unpruned model in which everything that is read of removed channels is zero (and
  statistics across channels are computed over the kept ones), relative to the largest
  output.

Time of `kbp.graph.channel_groups` against the number of channels and calls:

![Seconds over channels](channels.png)

"""


def write(rows, path):
    """Writes the page with the table, whole or not at all, and the curve."""
    draft = pathlib.Path(f"{path}.part")
    draft.write_text(f"{_HEAD}{table(rows)}\n", encoding="utf-8")
    plot(rows, pathlib.Path(path).with_suffix(".png"))
    os.replace(draft, path)


def plot(rows, path):
    """Plots time over the number of channels of all tensors with weights."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(
        [row.channels for row in rows],
        [row.seconds for row in rows],
        c=[row.calls for row in rows],
    )
    for row in rows:
        if row.channels > 0.3 * max(other.channels for other in rows):
            axes.annotate(
                row.name,
                (row.channels, row.seconds),
                xytext=(-4, 5),
                textcoords="offset points",
                ha="right",
                fontsize=7,
            )
    figure.colorbar(points, label="calls")
    axes.set(xlabel="channels", ylabel="seconds", xlim=0, ylim=0)
    axes.set_title("channel_groups on keras.applications")
    figure.savefig(path, dpi=120)


def main(_):
    import keras

    rows = []
    for name in _NAMES.value:
        rows.append(measure(name, build(name))[0])
        print(table(rows[-1:]).splitlines()[-1], flush=True)
        keras.utils.clear_session()
    print(f"\n{table(rows)}")
    if _PLOT.value:
        plot(rows, _PLOT.value)


if __name__ == "__main__":
    app.run(main)
