"""select_channels by milliseconds, with tables of made-up times."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_basisprune as kbp
from keras_basisprune.measure import LatencyTable, predicted_latency
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.sensitivity.loss_curve import LossCurve
from keras_basisprune.utils.cannot_reach import CannotReach

WIDTH = 64


def net(size=6):
    x = inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(WIDTH, 3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, name="depth")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


class Made(LatencyTable):
    """What `net` takes in all with so many channels, and what it was asked for."""

    def __init__(self, time):
        super().__init__()
        self.asked, self._time = [], time

    def milliseconds(self, layer, input_shape):
        if type(layer) is layers.Conv2D:
            self.asked.append(layer.filters)
            return self._time(layer.filters) * 0.5
        return self._time(input_shape[-1]) * 0.25


def width(plan):
    if not plan.channels:
        return WIDTH
    assert plan.channels["conv"].total == WIDTH
    return len(plan.channels["conv"].indices)


def scored(model):
    """Channels of `conv`, the last ones best."""
    groups = kbp.graph.channel_groups(model)
    scores = np.full(len(groups), np.inf)
    scores[groups.layers["conv"]] = np.arange(1.0, WIDTH + 1)
    return scores


TIMES = {
    "in proportion": lambda count: count / WIDTH,
    "with a start": lambda count: 0.3 + 0.7 * count / WIDTH,
    "multiples of 8 are fast": lambda count: count / WIDTH * (1 + (count % 8 > 0)),
    "multiples of 32 are fast": lambda count: count / WIDTH * (1 + (count % 32 > 0)),
    "odd ones are slow": lambda count: count / WIDTH + 0.2 * (count % 2),
    "in steps": lambda count: (count + 15) // 16 / 4,
    "squares": lambda count: (count / WIDTH) ** 2,
}


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("keep", [0.9, 0.4])
def test_the_time_that_was_asked_for(times, keep):
    model, time = net(), TIMES[times]
    table = Made(time)
    given = {"scores": scored(model), "cost": table}
    plan = kbp.select_channels(model, keep=keep, **given)
    count = width(plan)
    assert plan.channels["conv"].indices == tuple(range(WIDTH - count, WIDTH))
    small = predicted_latency(kbp.prune(model, plan), table)
    assert small == pytest.approx(time(count))
    assert small <= keep * time(WIDTH) * (1 + 1e-9)
    # What could be had at best, among multiples of what is tried.
    best = max(x for x in range(1, WIDTH) if time(x) <= keep * time(WIDTH))
    assert count >= 0.7 * best
    assert len(table.asked) <= 2 + 4 * 5


def test_nothing_has_to_leave():
    table = Made(TIMES["in proportion"])
    model = net()
    assert kbp.select_channels(model, keep=1, cost=table) == Plan()


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"round_to": 16}, (16, 32, 48, 64)),
        ({"round_to": 12}, (12, 24, 36, 48, 60, 64)),
        ({"min_kept": 30}, range(30, 65)),
        ({"max_removed": 0.25}, range(48, 65)),
    ],
)
def test_limits(limits, allowed):
    model = net()
    table = Made(TIMES["multiples of 8 are fast"])
    given = {"scores": scored(model), "cost": table, "limits": kbp.Limits(**limits)}
    plan = kbp.select_channels(model, keep=0.8, **given)
    assert width(plan) in allowed
    assert predicted_latency(kbp.prune(model, plan), table) <= 0.8
    fits = [x for x in allowed if x < 64]
    with pytest.raises(CannotReach, match="a share of the milliseconds") as caught:
        kbp.select_channels(model, keep=0.1, **given)
    named = float(str(caught.value).split("Pass keep=")[1].split()[0])
    assert width(kbp.select_channels(model, keep=named, **given)) >= min(fits)


def test_excluded_layers_can_not_leave():
    table = Made(TIMES["in proportion"])
    limits = kbp.Limits(exclude="conv")
    with pytest.raises(
        CannotReach, match="keep=0.5; the smallest share is 1.000. Pass keep=1.0"
    ):
        kbp.select_channels(net(), keep=0.5, cost=table, limits=limits)


@pytest.mark.parametrize(
    ("times", "expected"),
    [("in proportion", 13), ("multiples of 8 are fast", 16), ("in steps", 16)],
)
def test_a_threshold_at_the_quickest_width(times, expected):
    model = net()
    table = Made(TIMES[times])
    threshold = 52 / 64  # 13 channels reach it
    plan = kbp.select_channels(
        model, threshold=threshold, scores=scored(model), cost=table
    )
    assert width(plan) == expected


def test_tied_channels(tmp_path):
    x = inputs = keras.Input((5, 5, 3))
    x = layers.Conv2D(8, 1, name="one")(x)
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", name="two")(x)])
    model = keras.Model(inputs, layers.Conv2D(2, 5, name="head")(x))
    groups = kbp.graph.channel_groups(model)
    scores = np.full(len(groups), np.inf)
    scores[groups.layers["one"]] = np.arange(8.0)
    table = LatencyTable(tmp_path / "table.json")
    for count in range(1, 9):
        time = count + 3 * (count % 2)
        table.record(layers.Conv2D(count, 1), (5, 5, 3), time)
        conv = layers.Conv2D(count, 3, padding="same")
        table.record(conv, (5, 5, count), time)
        table.record(layers.Conv2D(2, 5), (5, 5, count), time)
    content = (tmp_path / "table.json").read_bytes()
    limits = kbp.Limits(round_to=2)
    given = {"keep": 0.5, "scores": scores, "cost": table}
    for scope in ("local", "global"):
        plan = kbp.select_channels(model, limits=limits, scope=scope, **given)
        assert plan == Plan(channels={"one": Kept((4, 5, 6, 7), 8)})
    assert predicted_latency(kbp.prune(model, plan), table) == 12.0
    assert (tmp_path / "table.json").read_bytes() == content


def test_measured_on_this_machine():
    model, table = net(), LatencyTable(runs=5)
    given = {"threshold": 52 / 64, "scores": scored(model), "cost": table}
    plan = kbp.select_channels(model, **given)
    assert width(plan) in (13, 16, 32)
    assert plan == kbp.select_channels(model, **given)


def test_sizes_that_are_unknown():
    with pytest.raises(ValueError, match="fixed input size"):
        kbp.select_channels(net(None), keep=0.5, cost=LatencyTable())


@pytest.mark.parametrize("times", TIMES)
def test_measured_sensitivity_keeps_within_the_time(times):
    model, time = net(), TIMES[times]
    table = Made(time)
    order = tuple(range(WIDTH - 1, 0, -1))  # the first channels are best
    errors = tuple(map(float, range(1, WIDTH)))
    removed, losses = (16, 32, 48), (0.01, 0.02, 0.04)
    curve = LossCurve("conv", "channels", WIDTH, order, errors, removed, losses)
    found = kbp.Sensitivity((curve,))
    plan = kbp.select_channels(model, keep=0.6, sensitivity=found, cost=table)
    count = width(plan)
    assert plan.channels["conv"].indices == tuple(range(count))
    small = predicted_latency(kbp.prune(model, plan), table)
    assert small == pytest.approx(time(count))
    assert small <= 0.6 * time(WIDTH) * (1 + 1e-9)
    assert found.predicted(plan) == pytest.approx(curve.expected()[WIDTH - count])
