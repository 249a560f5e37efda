"""Compression for speed on this machine: nothing is timed here, but it has to run."""

import json

import digits_model
import keras
import pytest

import keras_basisprune as kbp


@pytest.fixture(scope="module")
def digits():
    return digits_model.load()


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits, epochs=3)


def test_latency(model, digits, tmp_path):
    images, labels = digits.validation
    result = kbp.compress(
        model,
        digits.train[0],
        (images, labels),
        max_drop=0.1,
        objective="latency",
        search=kbp.SearchOptions(samples=200),
        output_dir=tmp_path,
        verbose=0,
    )
    assert result.met_budget
    baseline = kbp.accuracy(model, digits.validation)
    assert kbp.accuracy(result.model, digits.validation) >= baseline - 0.1
    assert result.report.after.flops < result.report.before.flops

    chosen = result.trials[result.details["chosen"]]
    assert 0 < chosen.kept < 10
    assert all(t.kept > 0 for t in result.trials if t.score == t.score)
    before, after = result.report.extra["milliseconds"]
    assert before > 0
    assert after > 0

    table = json.loads((tmp_path / "state" / "latency.json").read_text())
    assert table["version"] == 1
    assert len(table["milliseconds"]) > 5
    assert all(time > 0 for time in table["milliseconds"].values())
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["arguments"]["objective"] == "latency"
    assert report["trials"][report["chosen"]]["kept"] == chosen.kept
    page = (tmp_path / "report.html").read_text()
    assert "of the time" in page or "time" in page
    small = keras.models.load_model(tmp_path / "small.keras")
    assert kbp.cost(small) == result.report.after

    # What was measured is not measured again.
    state = (tmp_path / "state" / "state.json").read_bytes()
    again = kbp.compress(
        model,
        digits.train[0],
        (images, labels),
        max_drop=0.1,
        objective="latency",
        search=kbp.SearchOptions(samples=200),
        output_dir=tmp_path,
        verbose=0,
    )
    assert again.trials == result.trials
    assert again.plans == result.plans
    assert (tmp_path / "state" / "state.json").read_bytes() == state
    found = json.loads((tmp_path / "state" / "latency.json").read_text())
    assert found == table
