"""Prints a Markdown table of the networks that searches have trained, on test images.

    python -m benchmarks.search_curve --data=mnist.npz mnist_0 mnist_1

The networks are those that `compress` keeps in `state/` of its folder. `missed` marks
those that were not within the budget on the validation images, or not by the margin.
Untrained networks are not kept: their scores on validation images are in `report.json`.
"""

import json
import pathlib

import keras
from absl import app, flags

import keras_basisprune as kbp

_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_COLUMNS = (
    "search | round | parameters removed | FLOPs removed | validation | test | budget"
)


def main(argv):
    print(f"| {_COLUMNS} |\n|{'---|' * 2}{'---:|' * 4}---|")
    for folder in map(pathlib.Path, argv[1:]):
        original = keras.models.load_model(folder / "original.keras")
        data = kbp.load_data(
            _DATA.value,
            image_size=original.input_shape[1:3],
            channels=original.input_shape[3],
        )
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        _row(folder, "original", 1, 1, report["baseline"], original, data, "")
        text = (folder / "state/state.json").read_text(encoding="utf-8")
        for question, answer in json.loads(text)["answers"].items():
            name, _, kind = question.partition(" ")
            if kind != "trained":
                continue
            network = keras.models.load_model(folder / f"state/{name}.keras")
            shares = answer["params"], answer["flops"]
            score, number = answer["score"], name.split("_")[1]
            asked = report["arguments"].get("margin", 0) * answer.get("error", 0)
            met = "met" if score - asked >= report["least"] else "missed"
            _row(folder, number, *shares, score, network, data, met)


def _row(folder, number, params, flops, score, network, data, met):
    test = kbp.measure.accuracy(network, data.test)
    print(
        f"| {folder.name} | {number} | {1 - params:.2%} | {1 - flops:.2%} "
        f"| {100 * score:.2f} | {100 * test:.2f} | {met} |",
        flush=True,
    )


if __name__ == "__main__":
    app.run(main)
