"""Rows of the benchmarks of diff pruning: networks for tasks, and tables of them."""

import dataclasses
import json
import pathlib
import time

import numpy as np

from keras_basisprune.methods import DiffOptions, diff_pruning

# What each way sets: a share (`None` for those of `--shares`), and options.
WAYS = {
    "head": (0.0, {"batch_norm": "frozen"}),
    "norm": (0.0, {"batch_norm": "whole"}),
    "full": (1.0, {"selection": "magnitude"}),
    "magnitude": (None, {"selection": "magnitude"}),
    "gates": (None, {"selection": "gates", "structured": None}),
    "channel": (None, {"selection": "gates", "structured": "channel"}),
    "tensor": (None, {"selection": "gates", "structured": "tensor"}),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        way: Key of `WAYS`.
        share: Float, what may differ.
        seed: Integer.
        validation: Accuracy.
        test: Accuracy.
        stored: All numbers of the delta without the head, as a share of the base.
        rate: The learning rate that was best on validation images.
        seconds: Of training, at that rate.
    """

    way: str
    share: float
    seed: int
    validation: float
    test: float
    stored: float
    rate: float
    seconds: float


def stored(delta) -> float:
    """All numbers of a delta but those of the head, as a share of the base."""
    return (delta.changed + delta.whole) / delta.base_size


def one_row(make, way, share, seed, data, rates, options) -> Row:
    """Trains a network for each rate, and measures the best.

    Args:
        make: A function of a seed that returns a new network with the base's weights.
        way: Key of `WAYS`.
        share: Float.
        seed: Integer.
        data: Has pairs `train`, `validation` and `test`.
        rates: List of learning rates.
        options: Dict of further `DiffOptions`.
    """
    best = None
    for rate in rates:
        model, start = make(seed), time.time()
        given = {**options, **WAYS[way][1], "seed": seed}
        config = DiffOptions(learning_rate=rate, fixed_rate=rate, **given)
        delta = diff_pruning(model, data.train, share=share, config=config, verbose=0)
        seconds, network = time.time() - start, delta.apply(model)
        scores = [accuracy(network, part) for part in (data.validation, data.test)]
        row = Row(way, share, seed, *scores, stored(delta), rate, round(seconds, 1))
        if best is None or row.validation > best.validation:
            best = row
    return best


def accuracy(network, data) -> float:
    """The share of right answers."""
    found = network.predict(data[0], batch_size=250, verbose=0)
    return float(np.mean(np.argmax(found, -1) == np.asarray(data[1])))


def experiment(make, data, ways, shares, seeds, rates, options, folder) -> list[Row]:
    """All rows; those that are in the folder already are taken from there."""
    path, known = pathlib.Path(folder) / "rows.jsonl", {}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        found = [Row(**json.loads(line)) for line in path.read_text().splitlines()]
        known = {(row.way, row.share, row.seed): row for row in found}
    rows = []
    print("| way | share | seed | validation | test | stored | rate | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for seed in range(seeds):
        for way in ways:
            own = WAYS[way][0]
            for share in shares if own is None else [own]:
                row = known.get((way, share, seed))
                if row is None:
                    row = one_row(make, way, share, seed, data, rates, options)
                    with path.open("a") as file:
                        file.write(json.dumps(dataclasses.asdict(row)) + "\n")
                rows.append(row)
                print(
                    f"| {way} | {share:.2%} | {seed} | {100 * row.validation:.2f} | "
                    f"{100 * row.test:.2f} | {row.stored:.2%} | {row.rate:g} | "
                    f"{row.seconds:.0f} |",
                    flush=True,
                )
    return rows


def table(rows) -> str:
    """Mean and standard deviation over seeds: a table in Markdown."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.way, row.share), []).append(row)
    full = [row.test for row in groups.get(("full", 1.0), [])]
    lines = [
        "| way | share | stored | test | below full | validation | seeds | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (way, share), found in groups.items():
        test, validation = (
            f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=many):.2f}"
            for values in ([r.test for r in found], [r.validation for r in found])
            for many in [int(len(values) > 1)]
        )
        below = f"{100 * (np.mean(full) - np.mean([r.test for r in found])):.2f}"
        lines.append(
            f"| {way} | {share:.2%} | {np.mean([r.stored for r in found]):.2%} | "
            f"{test} | {below if full else ''} | {validation} | {len(found)} | "
            f"{np.mean([r.seconds for r in found]):.0f} |"
        )
    return "\n".join(lines)
