"""Holds that gates meet what they are asked for, and what training leaves as it is."""

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import array, identical
from scaled_networks import dense

import keras_basisprune as kbp
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import ChannelGate
from keras_basisprune.methods.channel_gates import (
    channel_gates,
    gates_plan,
    gates_training,
)
from keras_basisprune.training import GateOptions, train_gates
from keras_basisprune.utils.cannot_reach import CannotReach


@pytest.fixture(scope="module")
def blobs():
    """Classes are bright squares at four places."""
    rng = np.random.default_rng(0)
    y = np.arange(480) % 4
    x = rng.normal(size=(480, 6, 6, 3)).astype("float32")
    for n, label in enumerate(y):
        row, column = 3 * (label // 2), 3 * (label % 2)
        x[n, row : row + 3, column : column + 3] += 1.5
    return x, y


def network(width=64):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 6, 3))
    for name in ("a", "b"):
        x = keras.layers.Conv2D(width, 3, padding="same", name=name)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(3)(x))
    return keras.Model(inputs, keras.layers.Dense(4, "softmax", name="head")(x))


def gates_of(model):
    return [layer for layer in model.layers if isinstance(layer, ChannelGate)]


def shares(gated, model):
    """What is left of FLOPs and parameters."""
    small = kbp.prune(model, kbp.Plan.from_masks(gated))
    before, after = kbp.measure.cost(model), kbp.measure.cost(small)
    return {k: getattr(after, k) / getattr(before, k) for k in ("flops", "params")}


@pytest.mark.parametrize(
    ("keep", "cost"), [(0.5, "flops"), (0.2, "flops"), (0.3, "params")]
)
def test_annealing_meets_what_is_asked_for(blobs, keep, cost):
    model = network()
    gated = channel_gates(model)
    config = GateOptions(epochs=4, learning_rate=3e-3)
    history = train_gates(gated, blobs, keep=keep, cost=cost, config=config)
    steps = 4 * 15
    ramp, settle = round(config.ramp * steps), round(config.settled * steps)
    targets = keep ** np.minimum(1.0, np.arange(1, settle + 2) / ramp)
    found = np.array(history.cost_shares)
    assert len(found) == settle + 1
    assert (found <= targets + 1e-9).all()
    assert (found[ramp:] >= keep - 0.02).all()
    assert found[-1] == pytest.approx(shares(gated, model)[cost])
    logits = np.concatenate([array(gate.scale) for gate in gates_of(gated)])
    assert (np.abs(logits) >= 1.2 - 1e-6).all()
    small = kbp.fold(kbp.prune(gated))
    assert kbp.measure.accuracy(small, blobs) > 0.9
    assert kbp.measure.accuracy(small, blobs) == kbp.measure.accuracy(gated, blobs)
    assert gates_plan(gated, keep=None) == kbp.Plan.from_masks(gated)


def test_gates_of_concatenations_are_trained_together(blobs):
    model = dense()
    gated = channel_gates(model)
    config = GateOptions(epochs=3, learning_rate=3e-3)
    history = train_gates(gated, blobs, keep=0.6, config=config)
    assert 0.45 < shares(gated, model)["flops"] <= 0.6
    assert history.cost_shares[-1] == pytest.approx(shares(gated, model)["flops"])
    masks = trained_masks(trace(gated))
    assert {"stem", "grown1", "grown2"} < set(masks)
    plan = gates_plan(gated)
    assert plan == kbp.Plan.from_masks(gated)
    for name, kept in plan.channels.items():
        logits = array(masks[name].layer.scale)
        assert kept.indices == tuple(np.flatnonzero(logits > 0))
    small = kbp.fold(kbp.prune(gated))
    images = blobs[0][:32]
    before, after = (array(m(images)) for m in (gated, small))
    np.testing.assert_allclose(before, after, atol=1e-5)


def test_gates_alone_leave_all_else_as_it_was(blobs):
    gated = channel_gates(network())
    gated.get_layer("a").trainable = False
    flags = [layer.trainable for layer in gated.layers]
    own = {id(v) for gate in gates_of(gated) for v in gate.weights}
    others = [v for v in gated.weights if id(v) not in own]
    before = [array(v) for v in others]
    config = GateOptions(weights=False, epochs=2)
    train_gates(gated, blobs, keep=0.5, config=config)
    assert identical(before, [array(v) for v in others])
    assert [layer.trainable for layer in gated.layers] == flags
    assert any((array(gate.scale) < 0).any() for gate in gates_of(gated))
    train_gates(gated, blobs, keep=0.4, config=GateOptions(epochs=1))
    changed = [
        not np.array_equal(a, array(v)) for a, v in zip(before, others, strict=True)
    ]
    assert sum(changed) == len(others) - 2  # but kernel and bias of the frozen layer


def test_seeds_and_masks(blobs):
    config = GateOptions(epochs=1)
    found = []
    for seed in (0, 0, 1):
        gated = channel_gates(network())
        gated.get_layer("a_channel_gate").mask.assign(np.arange(64) > 3)
        train_gates(gated, blobs, keep=0.4, config=config, seed=seed)
        assert kbp.Plan.from_masks(gated).channels["a"].indices[0] > 3
        found.append([array(weight) for weight in gated.weights])
    assert identical(found[0], found[1])
    assert not identical(found[0], found[2])


def test_errors_change_nothing(blobs):
    model, gated = FAMILIES["sequential"](), channel_gates(FAMILIES["sequential"]())
    before = gated.get_weights()
    for given, message in (
        ({"keep": None}, "Expected `keep` to be a float in .*Received: keep=None"),
        ({"keep": 0.0}, "Expected `keep`.*Received: keep=0.0. 0.25 removes"),
        ({"keep": 0.5, "cost": "bytes"}, "Expected `cost` to be 'flops' or 'params'"),
        ({"keep": 0.5, "config": 3}, "Expected `config` to be a .*GateOptions"),
        ({"keep": 0.5, "seed": -1}, "Expected `seed`.*seed=-1"),
        ({"keep": 0.5, "train": blobs[0]}, r"Expected `train` to be a pair \(x, y\)"),
        ({"keep": 0.5, "model": model}, "Expected `model` to have ChannelGate layers"),
    ):
        given = {"model": gated, "train": blobs, **given}
        with pytest.raises(ValueError, match=message):
            train_gates(given.pop("model"), given.pop("train"), **given)
    with pytest.raises(CannotReach, match="Expected `keep` to be a share of the flops"):
        gates_training(gated, blobs, keep=0.01)
    assert identical(before, gated.get_weights())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weights", "all", "Expected `weights` to be True or False"),
        ("epochs", 0, "Expected `epochs` to be a positive integer"),
        ("batch_size", 1.5, "Expected `batch_size`"),
        ("ramp", 0.0, r"Expected `ramp` to be a finite number in \(0, 1\]"),
        ("settled", 2, "Expected `settled`.*settled=2. Start with 0.6"),
        ("noise", -1.0, "Expected `noise`"),
        ("travel", float("inf"), "Expected `travel`"),
    ],
)
def test_options_that_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        GateOptions(**{field: value})
