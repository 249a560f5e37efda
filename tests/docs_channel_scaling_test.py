"""Holds that the example of docs/channel_scaling.md runs, and does what it says."""

import pathlib
import re

import pytest
from models import array
from PIL import Image

import keras_basisprune as kbp
from keras_basisprune.layers import TrainedMask

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "channel_scaling.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """All names that the code of the page defines."""
    found = {}
    text = PAGE.read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), found)
        found["size"] = Image.open("channels.png").size
    return found


def test_the_network_becomes_smaller_and_no_worse(names):
    before, after = names["sizes"]
    assert after < 0.6 * before
    assert names["accuracies"][1] >= names["accuracies"][0] - 0.02
    iterations = names["result"].iterations
    assert iterations[-1].removed < 0.05 or len(iterations) == 4
    assert all(step.removed >= 0.05 for step in iterations[:-1])
    assert iterations[-1].params == kbp.measure.cost(names["result"].model).params
    assert not any(isinstance(layer, TrainedMask) for layer in names["small"].layers)


def filters_of(model):
    return array(model.get_layer("conv1").kernel).reshape(9, -1).T.tolist()


def test_weights_that_stay_are_those_of_the_source(names):
    """Of the first convolution nothing is folded into its kernel."""
    left = filters_of(names["result"].model)
    filters = filters_of(names["model"])
    assert 0 < len(left) <= len(filters)
    assert all(one in filters for one in left)


def test_the_picture_is_written(names):
    assert names["size"][0] > 200
