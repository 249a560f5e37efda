"""Holds that the code of `docs/compensation_aware.md` does what the page says."""

import pathlib
import re

import numpy as np
import pytest

import keras_basisprune as kbp

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/compensation_aware.md"


@pytest.fixture(scope="module")
def page():
    """All names that the code of the page defines."""
    pytest.importorskip("sklearn")
    names = {}
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_half_of_the_cost_is_left(page):
    before = kbp.measure.cost(page["model"])
    assert 0.4 < kbp.measure.cost(page["half"]).flops / before.flops <= 0.5
    assert 0.4 < kbp.measure.cost(page["third"]).params / before.params <= 0.5
    assert kbp.measure.cost(page["small"]).flops < before.flops


def test_the_budget_is_about_kept(page):
    scores = {
        name: kbp.measure.accuracy(page[name], page["few"])
        for name in ("model", "small", "half", "third")
    }
    assert scores["model"] > 0.9
    # The budget is held on half of the images, 134, of which one is 0.7 points.
    assert scores["small"] >= scores["model"] - 0.04
    x = page["few"][0]
    said = [page[name].predict(x, verbose=0).argmax(-1) for name in ("model", "half")]
    assert np.mean(said[0] == said[1]) > 0.9
