"""Tests of quick_channels, with tables of made-up times."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_basisprune as kbp
from keras_basisprune.measure import LatencyTable
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.quick_channels import quick_channels


def net():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(16, 3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, name="depth")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def keep(count):
    return Plan(channels={"conv": Kept(tuple(range(count)), 16)})


def filled(path, times):
    """A table of what the model takes in all with so many channels."""
    table = LatencyTable(path)
    for count, time in times.items():
        table.record(layers.Conv2D(count, 3), (6, 6, 3), time * 0.5)
        table.record(layers.DepthwiseConv2D(3), (4, 4, count), time * 0.25)
        table.record(layers.Dense(2), (count,), time * 0.25)
    return table


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({7: 3.0, 8: 2.0}, 8),  # odd is slower
        ({7: 2.0, 8: 3.0}, 7),
        ({8: 2.0, 7: 2.0}, 8),  # alike: most channels
        ({7: 2.0, 8: 2.03}, 8),
        ({7: 2.0, 8: 2.05}, 7),
        ({5: 4.0, 8: 2.0, 7: 2.01, 16: 5.0}, 8),
        ({5: 4.0, 16: 1.0}, 16),  # nothing leaves
        ({5: 4.0}, 5),
    ],
)
def test_the_fastest_plan(tmp_path, times, expected):
    table = filled(tmp_path / "table.json", times)
    content = (tmp_path / "table.json").read_bytes()
    plans = [keep(count) for count in times]
    assert quick_channels(net(), plans, table) == keep(expected)
    assert quick_channels(net(), iter(plans[::-1]), table) == keep(expected)
    assert (tmp_path / "table.json").read_bytes() == content  # nothing was measured


def test_the_first_of_equals(tmp_path):
    table = filled(tmp_path / "table.json", {7: 2.0})
    other = Plan(channels={"conv": Kept(tuple(range(1, 8)), 16)})
    assert quick_channels(net(), [other, keep(7)], table) == other
    assert quick_channels(net(), [keep(7), other], table) == keep(7)


def test_plan_that_is_empty(tmp_path):
    table = filled(tmp_path / "table.json", {16: 2.0, 8: 2.0})
    assert quick_channels(net(), [keep(8), Plan()], table) == Plan()


def test_tied_channels_and_rounding(tmp_path):
    x = inputs = keras.Input((5, 5, 3))
    x = layers.Conv2D(8, 1, name="one")(x)
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", name="two")(x)])
    model = keras.Model(inputs, layers.Conv2D(2, 5, name="head")(x))
    groups = kbp.channel_groups(model)
    scores = np.full(len(groups), np.inf)
    scores[groups.layers["one"]] = np.arange(8.0)
    limits = [kbp.ChannelLimits(round_to=step) for step in (1, 2)]
    odd, even = (kbp.select_channels(model, scores, 0.5, limits=x) for x in limits)
    assert odd == Plan(channels={"one": Kept((3, 4, 5, 6, 7), 8)})
    assert even == Plan(channels={"one": Kept((4, 5, 6, 7), 8)})
    table = LatencyTable(tmp_path / "table.json")
    for count, time in ((5, 3.0), (4, 1.0)):
        table.record(layers.Conv2D(count, 1), (5, 5, 3), time)
        conv = layers.Conv2D(count, 3, padding="same")
        table.record(conv, (5, 5, count), time)
        table.record(layers.Conv2D(2, 5), (5, 5, count), time)
    content = (tmp_path / "table.json").read_bytes()
    assert quick_channels(model, [odd, even], table) == even
    # Tied channels leave together, whichever layer the plan names.
    other = Plan(channels={"two": Kept((0, 1, 2, 3), 8)})
    assert quick_channels(model, [odd, other, even], table) == other
    assert (tmp_path / "table.json").read_bytes() == content


def test_errors():
    table = LatencyTable()
    with pytest.raises(ValueError, match="Expected `plans` to hold at least one"):
        quick_channels(net(), [], table)
    wrong = Plan(channels={"conv": Kept((0,), 3)})
    with pytest.raises(ValueError, match="to count 16 channels of `conv`"):
        quick_channels(net(), [wrong], table)
    inputs = keras.Input((None, None, 3))
    outputs = layers.Conv2D(8, 3, name="conv")(inputs)
    with pytest.raises(ValueError, match="fixed input size"):
        quick_channels(keras.Model(inputs, outputs), [Plan()], table)
