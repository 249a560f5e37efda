"""Prints a Markdown table of the results of searches, from their folders.

    keras-basisprune compress --model=a.keras --data=mnist.npz --recover=all \\
        --output_dir=mnist_0
    python -m benchmarks.search_table mnist=mnist_0,mnist_1,mnist_2 fashion=fashion_0

Each argument is a name and the folders of `compress` that belong to it, one per seed.
Numbers are means, ± half the difference of highest and lowest.
"""

import json
import pathlib

import numpy as np
from absl import app

_COLUMNS = (
    "task | baseline, test | result, test | points lost, test | on validation | "
    "parameters removed | FLOPs removed | rounds | networks tried | minutes | "
    "in evaluation"
)


def figures(folder) -> list[float]:
    """Returns the numbers of one search, in the order of the columns."""
    text = (pathlib.Path(folder) / "report.json").read_text(encoding="utf-8")
    report = json.loads(text)
    rows = {row["label"]: row for row in report["before_after"]}
    tests = rows["accuracy on test"]
    validation = rows[f"{report['metric']} on validation"]
    removed = [
        100 * (1 - rows[label]["after"] / rows[label]["before"])
        for label in ("parameters", "FLOPs")
    ]
    seconds, chosen = report["seconds"], report["chosen"]
    return [
        100 * tests["before"],
        100 * tests["after"],
        100 * (tests["before"] - tests["after"]),
        100 * (validation["before"] - validation["after"]),
        *removed,
        0 if chosen is None else report["trials"][chosen]["round"],
        len(report["trials"]),
        seconds["in all"] / 60,
        100 * seconds["evaluation"] / seconds["in all"],
    ]


def main(argv):
    print(f"| {_COLUMNS} |\n|---|{'---:|' * _COLUMNS.count('|')}")
    for argument in argv[1:]:
        name, _, folders = argument.partition("=")
        found = np.array([figures(folder) for folder in folders.split(",")])
        cells = [name]
        for place, values in enumerate(found.T):
            digits = 0 if place in (6, 7) else 2 if place < 6 else 1
            text = f"{values.mean():.{digits}f}"
            if len(values) > 1 and place < 6:
                text += f" ± {np.ptp(values) / 2:.{digits}f}"
            cells.append(text + (" %" if place in (4, 5, 9) else ""))
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    app.run(main)
