"""Holds what gates choose, what is refused, and that `docs/channel_gates.md` runs."""

import pathlib
import re

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import array, identical

import keras_basisprune as kbp
from keras_basisprune.layers import ChannelGate
from keras_basisprune.methods.channel_gates import channel_gates, gates_plan
from keras_basisprune.utils.cannot_reach import CannotReach

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "channel_gates.md"


def test_largest_logits_stay_whatever_gates_cost_themselves():
    model = FAMILIES["sequential"]()
    gated = channel_gates(model)
    logits = {"a": np.array([5, 1, -3, 4, -2, 3, -1, 2]), "b": np.arange(8) - 9}
    for name, values in logits.items():
        gated.get_layer(f"{name}_channel_gate").scale.assign(values)
    # All of `b` but one leave first, then those of `a` in their order.
    plan = gates_plan(gated, keep=0.2, cost="params")
    assert plan.channels["b"].indices == (7,)
    kept = plan.channels["a"].indices
    assert kept == tuple(sorted(np.argsort(-logits["a"])[: len(kept)]))
    small = kbp.prune(model, plan)
    assert 0.15 < kbp.measure.cost(small).params / kbp.measure.cost(model).params <= 0.2
    assert gates_plan(gated).channels["a"].indices == (0, 1, 3, 5, 7)
    assert gates_plan(gated).channels["b"].indices == (7,)  # at least one


def test_temperatures_and_names_are_handed_on():
    gated = channel_gates(FAMILIES["residual"](), low=0.2, high=3.0)
    gates = [layer for layer in gated.layers if isinstance(layer, ChannelGate)]
    assert {(gate.low, gate.high) for gate in gates} == {(0.2, 3.0)}
    assert {gate.name for gate in gates} == {"stem_channel_gate", "first_channel_gate"}


def test_errors_change_nothing():
    model = FAMILIES["sequential"]()
    state = [array(weight) for weight in model.weights]
    with pytest.raises(ValueError, match="Expected `low` to be a finite number > 0"):
        channel_gates(model, low=-1)
    with pytest.raises(ValueError, match="no layers yet that weigh channels.*`a_chan"):
        channel_gates(channel_gates(model))
    with pytest.raises(ValueError, match="Expected `model` to be a built Functional"):
        channel_gates("model")
    inputs = keras.Input((4,))
    alone = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    with pytest.raises(ValueError, match="channels that may leave. Received: model="):
        channel_gates(alone)
    with pytest.raises(CannotReach, match="Expected `keep`.*Received: keep=0.001"):
        gates_plan(channel_gates(model), keep=0.001)
    with pytest.raises(ValueError, match="Expected `keep` to be a float"):
        gates_plan(channel_gates(model), keep=1.5)
    assert identical(state, [array(weight) for weight in model.weights])


def test_weights_that_are_not_finite_are_named():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, name="first"),
            keras.layers.Conv2D(2, 3),
        ]
    )
    kernel = np.array(model.get_layer("first").kernel)
    kernel.flat[0] = np.nan
    model.get_layer("first").kernel.assign(kernel)
    with pytest.raises(ValueError, match="in layer `first`"):
        channel_gates(model)


def test_the_page_runs():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    share = (
        kbp.measure.cost(names["small"]).flops / kbp.measure.cost(names["model"]).flops
    )
    assert 0.2 < share <= 0.25
    assert (
        kbp.measure.cost(names["new"]).flops
        == kbp.measure.cost(kbp.prune(names["model"], names["plan"])).flops
    )
    answers = {
        n: kbp.measure.accuracy(names[n], names["data"].test) for n in ("small", "new")
    }
    assert min(answers.values()) > 0.85, answers
