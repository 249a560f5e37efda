"""Rows of the benchmarks of diff pruning: networks for tasks, and tables of them."""

import dataclasses
import json
import pathlib
import time

import numpy as np

from keras_basisprune.methods import DiffOptions, deltas_by_share

# What each way sets: a share (`None` for those of `--shares`), and options.
WAYS = {
    "head": (0.0, {"batch_norm": "frozen"}),
    "norm": (0.0, {"batch_norm": "whole"}),
    "full": (1.0, {"selection": "magnitude", "batch_norm": "statistics"}),
    "frozen": (1.0, {"selection": "magnitude", "batch_norm": "frozen"}),
    "scratch": (1.0, {"selection": "magnitude", "batch_norm": "statistics"}),
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
        seconds: Of training at that rate, in equal parts for all shares of a call.
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


def rows_of(make, way, shares, seed, data, rates, options) -> list[Row]:
    """Trains networks of all shares for each rate; returns the best for each share.

    Args:
        make: A function of a seed that returns a new network with the base's weights.
        way: Key of `WAYS`.
        shares: List of floats.
        seed: Integer.
        data: Has pairs `train`, `validation` and `test`.
        rates: List of learning rates.
        options: Dict of further `DiffOptions`.
    """
    best: dict[float, Row] = {}
    for rate in rates:
        model, start = make(seed), time.time()
        given = {"fixed_rate": rate, **options, **WAYS[way][1], "seed": seed}
        config = DiffOptions(learning_rate=rate, **given)
        deltas = deltas_by_share(
            model, data.train, shares=shares, config=config, verbose=0
        )
        seconds = round((time.time() - start) / len(shares), 1)
        for share, delta in deltas.items():
            network = delta.apply(model)
            scores = [accuracy(network, part) for part in (data.validation, data.test)]
            row = Row(way, share, seed, *scores, stored(delta), rate, seconds)
            if share not in best or row.validation > best[share].validation:
                best[share] = row
    return [best[share] for share in shares]


def accuracy(network, data) -> float:
    """The share of right answers."""
    found = network.predict(data[0], batch_size=250, verbose=0)
    return float(np.mean(np.argmax(found, -1) == np.asarray(data[1])))


def experiment(
    make, data, ways, shares, seeds, rates, options, folder, others=None
) -> list[Row]:
    """All rows; those that are in the folder already are taken from there.

    Args are as in `rows_of`, and a dict from ways to what is called instead of `make`.
    """
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
            wanted = shares if own is None else [own]
            missing = [x for x in wanted if (way, x, seed) not in known]
            if missing:
                made = (others or {}).get(way, make)
                found = rows_of(made, way, missing, seed, data, rates, options)
                known |= {(way, row.share, seed): row for row in found}
                with path.open("a") as file:
                    for row in found:
                        file.write(json.dumps(dataclasses.asdict(row)) + "\n")
            for row in (known[way, share, seed] for share in wanted):
                rows.append(row)
                accuracies = f"{100 * row.validation:.2f} | {100 * row.test:.2f}"
                print(
                    f"| {way} | {row.share:.2%} | {seed} | {accuracies} | "
                    f"{row.stored:.2%} | {row.rate:g} | {row.seconds:.0f} |",
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
        below = ""
        if full:
            below = f"{100 * (np.mean(full) - np.mean([r.test for r in found])):.2f}"
        lines.append(
            f"| {way} | {share:.2%} | {np.mean([r.stored for r in found]):.2%} | "
            f"{test} | {below} | {validation} | {len(found)} | "
            f"{np.mean([r.seconds for r in found]):.0f} |"
        )
    return "\n".join(lines)
