"""Compression for speed on this machine: times are not compared, but it has to run."""

import json

import keras
import pytest

import keras_basisprune as kbp


@pytest.fixture(scope="module")
def model(digits):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(24, 5, activation="relu", name="conv")(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    outputs = keras.layers.Dense(10, activation="softmax", name="head")(x)
    model = keras.Model(inputs, outputs, name="digits")
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*digits.train, epochs=5, verbose=0)
    return model


def compress(model, digits, folder):
    return kbp.compress(
        model,
        digits.train[0],
        digits.validation,
        max_drop=0.1,
        cost="latency",
        config=kbp.SearchOptions(samples=200, rounds=1),
        output_dir=folder,
        verbose=0,
    )


def test_latency(model, digits, tmp_path):
    result = compress(model, digits, tmp_path)
    assert result.met_budget
    baseline = kbp.measure.accuracy(model, digits.validation)
    assert kbp.measure.accuracy(result.model, digits.validation) >= baseline - 0.1
    assert result.report.after.flops < result.report.before.flops
    chosen = result.trials[result.details["chosen"]]
    assert chosen.good_enough
    assert chosen.kept > 0
    assert all(time > 0 for time in result.report.extra["milliseconds"])

    table = json.loads((tmp_path / "state" / "latency.json").read_text())
    assert len(table["milliseconds"]) > 5
    assert all(time > 0 for time in table["milliseconds"].values())
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["arguments"]["cost"] == "latency"
    assert report["trials"][report["chosen"]]["kept"] == chosen.kept
    assert (tmp_path / "report.html").stat().st_size > 0
    small = keras.models.load_model(tmp_path / "small.keras")
    assert kbp.measure.cost(small) == result.report.after

    # What was measured is not measured again.
    files = [tmp_path / "state" / name for name in ("state.json", "latency.json")]
    before = [path.read_bytes() for path in files]
    again = compress(model, digits, tmp_path)
    assert again.details["trials"] == result.details["trials"]
    assert again.plans == result.plans
    assert [path.read_bytes() for path in files] == before
