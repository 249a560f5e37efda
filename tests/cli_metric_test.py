"""`--metric`, `--mode` and `--max_drop` on the command line: scores by NumPy."""

import json
import re

import keras
import numpy as np
import pytest
from command_lines import refused, run

import keras_basisprune as kbp

MINE = """
import keras
import numpy as np


def brier_error(model, data):
    images, labels = data
    return (model.predict(images)[:, 0] - labels) ** 2


def worst(model, data):
    return float(brier_error(model, data).max())


def fails(model, data):
    raise KeyError("nothing")


def nan(model, data):
    return np.nan


class Share(keras.metrics.Metric):
    def __init__(self, part, **options):
        super().__init__(**options)


strict = keras.metrics.F1Score(threshold=0.75, name="strict_f1")
number = 3
"""


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """Odd or even digits, and a network with one sigmoid."""
    root = tmp_path_factory.mktemp("metric")
    parts = {}
    for name, (x, y) in (
        ("train", digits.train),
        ("val", digits.validation),
        ("test", digits.test),
    ):
        parts |= {f"x_{name}": x.astype("uint8"), f"y_{name}": y % 2}
    np.savez(root / "odd.npz", **parts)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(12, 3, activation="relu"),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(parts["x_train"], parts["y_train"], epochs=4, verbose=0)
    model.save(root / "odd.keras")
    kbp.export_tflite(model, root / "odd.tflite")
    (root / "scored.py").write_text(MINE)
    return root


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def by_numpy(path, part="test"):
    """F1, strict F1, mean and largest squared error, and the share of right answers."""
    parts = np.load("odd.npz")
    x, y = parts[f"x_{part}"], parts[f"y_{part}"]
    said = keras.models.load_model(path).predict(x, verbose=0)[:, 0]

    def f1(threshold):
        true = np.sum((said > threshold) & (y == 1))
        return 2 * true / (np.sum(said > threshold) + np.sum(y == 1))

    squares = (said - y) ** 2
    return f1(0.5), f1(0.75), squares, np.mean((said > 0.5) == y)


def scores(out):
    """What was printed, by name: pairs of the score and its error."""
    found = re.findall(
        r"^  ([\w ]+)  (\S+) on 269 test images of odd.npz"
        r"(?: \(standard error (\S+)\))?",
        out,
        re.MULTILINE,
    )
    return {
        name: (float(score), error and float(error)) for name, score, error in found
    }


@pytest.mark.parametrize("kind", ["keras", "tflite"])
def test_evaluate_by_any_metric(capsys, kind):
    names = (
        "f1",
        "scored.py:strict",
        "scored.py:brier_error",
        "scored.py:worst",
        "auto",
    )
    words = (f"--model=odd.{kind}", "--data=odd.npz", f"--metric={','.join(names)}")
    code, out, err = run(capsys, "evaluate", *words)
    assert code == 0, err
    f1, strict, squares, right = by_numpy("odd.keras")
    found = scores(out)
    expected = {
        "f1 score": f1,
        "strict f1": strict,
        "brier error": squares.mean(),
        "worst": squares.max(),
        "binary accuracy": right,
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=6e-5), name
    error = squares.std(ddof=1) / np.sqrt(len(squares))
    assert found["brier error"][1] == pytest.approx(error, abs=6e-5)
    exact = np.sqrt(right * (1 - right) / len(squares))
    assert found["binary accuracy"][1] == pytest.approx(exact, abs=6e-5)
    assert 0.5 * exact < found["f1 score"][1] < 2 * exact
    assert found["worst"][1] == ""  # one number for all images: nothing is known


def test_compress_by_a_function_and_a_name(capsys, folder, tmp_path):
    words = (
        "compress",
        "--model=odd.keras",
        "--data=odd.npz",
        "--methods=channels",
        "--rounds=1",
        "--samples=150",
        "--formats=",
        f"--output_dir={tmp_path}",
    )
    code, out, err = run(
        capsys, *words, "--metric=scored.py:brier_error,f1", "--max_drop=20%"
    )
    assert code == 0, err
    report = json.loads((tmp_path / "report.json").read_text())
    rows = {x["label"]: (x["before"], x["after"]) for x in report["before_after"]}
    before, after = (
        by_numpy(path, "val") for path in ("odd.keras", tmp_path / "small.keras")
    )
    errors = [x[2].mean() for x in (before, after)]
    assert rows["brier error on validation"] == pytest.approx(errors, rel=1e-3)
    assert rows["f1 score on validation"] == pytest.approx([before[0], after[0]])
    assert errors[1] <= 1.2 * errors[0]
    assert report["arguments"]["max_drop"] == "20%"
    assert report["met_budget"] and rows["FLOPs"][1] < 0.8 * rows["FLOPs"][0]
    code, err = refused(capsys, *words, "--metric=mse", "--mode=max")
    assert code == 1
    assert "Expected `mode` to be 'min' for mean squared error" in err


@pytest.mark.parametrize("command", ["compress", "evaluate"])
@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (
            "recal",
            "Received: --metric=recal. For one of your own pass --metric=",
        ),
        ("MeanIoU", "the name of a metric of Keras, such as f1"),
        ("nowhere:f", "Expected --metric to name a module that can be imported"),
        (
            "scored.py:missing",
            "in scored.py. Received: 'missing', which is not in it.",
        ),
        ("scored.py:number", "Received: 'number', which is of the type int."),
        (
            "scored.py:Share",
            "to be a metric that needs no arguments. Received: TypeEr",
        ),
    ],
)
def test_metrics_that_are_none(capsys, tmp_path, command, metric, text):
    code, err = refused(
        capsys, command, "--model=odd.keras", "--data=odd.npz", f"--metric={metric}"
    )
    assert code == 1
    assert "--metric" in err and text in err


@pytest.mark.parametrize(
    ("metric", "text"),
    [("fails", "KeyError: 'nothing'"), ("nan", "Received: nan. Check it in Python")],
)
def test_metrics_that_fail_on_the_file(capsys, metric, text):
    words = ("--model=odd.tflite", "--data=odd.npz", f"--metric=scored.py:{metric}")
    code, err = refused(capsys, "evaluate", *words)
    assert code == 1
    assert f"--metric={metric} to give a number" in err and text in err


def test_one_number_needs_two_classes(capsys, tmp_path):
    words = ("--model=odd.keras", "--data=digits", f"--output_dir={tmp_path / 'out'}")
    code, _, err = run(capsys, "compress", *words)
    assert code == 1
    assert (
        "two classes for a model whose output is a single number. Received: 10" in err
    )
