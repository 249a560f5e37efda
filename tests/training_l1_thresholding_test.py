import csv

import keras
import numpy as np
import pytest
from diagonal import Record, diagonal, masks
from keras import layers
from models import array

from keras_basisprune import L1Thresholding, convert, fold, prune, scores
from keras_basisprune.measure import cost

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.zeros((8, 6), "float32")


def fit(callback, model=None, epochs=2, batch_size=4, compiled=None, **kwargs):
    """Trains two steps per epoch, at a rate of zero; returns history and masks."""
    model = model or diagonal()
    compiled = {"run_eagerly": True, **(compiled or {})}
    model.compile(keras.optimizers.SGD(0.0), "mse", **compiled)
    record = Record()
    history = model.fit(
        *(X, Y),
        batch_size=batch_size,
        epochs=epochs,
        callbacks=[callback, record],
        verbose=0,
        shuffle=False,
        **kwargs,
    ).history
    return history, record


class Positions:
    """A score that notes the training steps at which it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, model):
        self.asked.append(int(model.optimizer.iterations))
        return scores.magnitude(model)


@pytest.mark.parametrize(
    ("score", "threshold", "a", "b"),
    [
        ("magnitude", 0.3, "1110", "11"),
        ("magnitude", 0.6, "1100", "10"),
        ("energy", 0.2, "1110", "10"),  # 1, 0.56, 0.25, 0.06 and 1, 0.11 of the largest
        ("energy", 0.05, "1111", "11"),
        (lambda model: {"a": [0, 1, 1, 2]}, 0.5, "0111", "11"),
    ],
)
def test_scores_and_a_constant(score, threshold, a, b):
    history, record = fit(L1Thresholding(threshold, score=score))
    assert record.began == record.masks == [{"a": a, "b": b}] * 2
    assert history["kept_bases"] == [(a + b).count("1")] * 2


def test_scales_count():
    model = diagonal()
    model.get_layer("a_scaling").scale.assign([0.1, -1.0, 0.0, 3.0])
    _, record = fit(L1Thresholding(0.2), model)  # 0.4, 3, 0, 3
    assert record.masks[-1] == {"a": "0101", "b": "11"}


@pytest.mark.parametrize(
    "schedule",
    [
        lambda step: 0.2 * step,
        keras.optimizers.schedules.PolynomialDecay(0.0, 4, 0.8, power=1.0),
    ],
)
def test_a_schedule_of_the_step(schedule):
    _, record = fit(L1Thresholding(schedule), epochs=3)  # 0, 0.4, 0.8
    assert [m["a"] for m in record.began] == ["1111", "1110", "1000"]
    assert [m["b"] for m in record.began] == ["11", "10", "10"]


@pytest.mark.parametrize(("unit", "began"), [("epoch", 0), ("step", 1)])
def test_the_polynomial_decay_of_tfmot(unit, began):
    tfmot = pytest.importorskip("tensorflow_model_optimization")
    # Active at the steps 1, 4, 7, which no epoch of two steps begins with but 4.
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        0.0, 0.75, begin_step=1, end_step=7, power=1, frequency=3
    )
    _, record = fit(L1Thresholding(schedule, unit=unit), epochs=5)
    kept = [m["a"].count("1") for m in record.masks]
    # Epochs end before the steps 2, 4, 6, 8, 10; sparsity 0.125 at 2, 0.375 at 4,
    # 0.75 at 7 and later.
    assert kept == ([4, 4, 3, 3, 1] if unit == "epoch" else [4, 4, 3, 1, 1])


def test_the_share_of_a_tfmot_schedule_counts_masked_ones():
    _, record = fit(L1Thresholding(lambda step: (True, 0.5)), epochs=4)
    assert record.masks == [{"a": "1100", "b": "10"}] * 4


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({}, [0, 2, 4, 6, 8, 10]),
        ({"frequency": 2}, [0, 4, 8]),
        ({"start": 3}, [6, 8, 10]),
        ({"frequency": 2, "start": 1}, [2, 6, 10]),
        ({"unit": "step"}, list(range(12))),
        ({"unit": "step", "frequency": 5}, [0, 5, 10]),
        ({"unit": "step", "frequency": 4, "start": 3}, [3, 7, 11]),
    ],
)
def test_frequency_and_start(arguments, asked):
    score = Positions()
    fit(L1Thresholding(0.1, score=score, **arguments), epochs=6)
    assert score.asked == asked


def test_steps_per_execution():
    """Masks at the beginning of the execution in which a wanted step lies."""
    score = Positions()
    callback = L1Thresholding(0.6, score=score, unit="step", frequency=4, start=1)
    compiled = {"run_eagerly": False, "jit_compile": False, "steps_per_execution": 3}
    _, record = fit(callback, epochs=2, batch_size=1, compiled=compiled)
    # Executions begin at 0, 3, 6 of each epoch's 8 steps; wanted are 1, 5, 9, 13.
    assert score.asked == [0, 3, 8, 11]
    assert record.masks[-1] == {"a": "1100", "b": "10"}


def test_step_unit_goes_on_in_a_second_fit():
    score = Positions()
    model = diagonal()
    callback = L1Thresholding(0.1, score=score, unit="step", frequency=3)
    fit(callback, model, epochs=2)
    model.fit(X, Y, batch_size=4, epochs=2, callbacks=[callback], verbose=0)
    assert score.asked == [0, 3, 6]


def test_global_scope_and_costs():
    # Relative to their layer's largest: 1, 0.75, 0.5, 0.25 and 1, 1/3.
    _, record = fit(L1Thresholding(0.4, scope="global"))
    assert record.masks[-1] == {"a": "1110", "b": "10"}
    # A basis costs 8 weights in `a`, 6 in `b`: per cost 0.75, 0.56, .. and 1, 1/3.
    for kind in ("params", "flops"):
        _, record = fit(L1Thresholding(0.3, scope="global", cost=kind))
        assert record.masks[-1] == {"a": "1110", "b": "11"}
        _, record = fit(L1Thresholding(0.34, scope="global", cost=kind))
        assert record.masks[-1] == {"a": "1110", "b": "10"}
        _, record = fit(L1Thresholding(0.4, scope="global", cost=kind))
        assert record.masks[-1] == {"a": "1100", "b": "10"}


def test_flops_count_positions():
    """The same weights cost more FLOPs where they work at more positions."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="large", use_bias=False)(x)
    x = layers.MaxPooling2D(4)(x)
    x = layers.Conv2D(3, 1, name="small", use_bias=False)(x)
    model = keras.Model(inputs, x)
    for name in ("large", "small"):
        model.get_layer(name).kernel.assign(np.diag([1.0, 0.8, 0.6])[None, None])
    kept = {}
    for kind in ("params", "flops"):
        converted = convert(model)
        converted.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
        callback = L1Thresholding(0.1, scope="global", cost=kind)
        data = np.zeros((1, 8, 8, 3)), np.zeros((1, 2, 2, 3))
        converted.fit(*data, callbacks=[callback], verbose=0)
        kept[kind] = masks(converted)
    assert kept["params"] == {"large": "111", "small": "111"}
    assert kept["flops"] == {"large": "100", "small": "111"}  # 16 times the positions


@pytest.mark.parametrize(
    ("arguments", "a", "b"),
    [
        ({"min_kept": 2}, "1100", "11"),
        ({"min_kept": 3}, "1110", "11"),
        ({"min_kept": 9}, "1111", "11"),
        ({"round_to": 2}, "1100", "11"),
        ({"round_to": 3}, "1110", "11"),
        ({"min_kept": 2, "round_to": 3}, "1110", "11"),
    ],
)
def test_min_kept_and_round_to(arguments, a, b):
    _, record = fit(L1Thresholding(1.0, **arguments), epochs=3)
    assert record.masks == [{"a": a, "b": b}] * 3


def test_masked_stays_masked():
    rng = np.random.default_rng(3)

    def erratic(model):
        return {"a": rng.random(4), "b": rng.random(2)}

    model = diagonal()
    model.get_layer("b_scaling").mask.assign([0, 0])
    model.get_layer("a_scaling").mask.assign([1, 1, 0, 1])
    _, record = fit(L1Thresholding(0.5, score=erratic), model, epochs=6)
    before = {"a": "1101", "b": "00"}
    for now in record.masks:
        for name, mask in now.items():
            pairs = zip(mask, before[name], strict=True)
            assert all(m <= was for m, was in pairs)
        before = now
    assert before["a"].count("1") < 3


def rich():
    """A model of many kinds of layers, with and without bias."""
    x = inputs = keras.Input((10, 10, 3))
    x = layers.Conv2D(8, 3, strides=2, name="strided")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", name="separable")(x)
    shared = layers.Conv2D(6, 3, padding="same", use_bias=False, name="shared")
    x = shared(shared(x))
    x = layers.Conv2D(6, 3, groups=2, dilation_rate=2, padding="same", name="g")(x)
    x = layers.Conv2DTranspose(2, 2, name="transposed")(x)
    x = layers.Dense(5, activation="relu", name="dense")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


@pytest.mark.parametrize(
    ("rank", "threshold"), [(None, 0.0), (None, 0.5), (0.8, 0.5), (None, 1.0)]
)
def test_ratios_are_what_cost_measures(rank, threshold, tmp_path):
    original = rich()
    model = convert(original, rank, include=[layers.Conv2D, layers.Dense, "separable"])
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    path = tmp_path / "log.csv"
    history = model.fit(
        *(np.ones((2, 10, 10, 3)), np.zeros((2, 3))),
        verbose=0,
        callbacks=[L1Thresholding(threshold), keras.callbacks.CSVLogger(path)],
    ).history
    small = fold(prune(model), batch_norm=False)
    before, after = cost(original), cost(small)
    assert history["params_ratio"] == [pytest.approx(after.params / before.params)]
    assert history["flops_ratio"] == [pytest.approx(after.flops / before.flops)]
    assert history["kept_bases"] == ["".join(masks(model).values()).count("1")]
    with open(path, newline="") as file:
        (row,) = csv.DictReader(file)
    for key in ("kept_bases", "params_ratio", "flops_ratio"):
        assert float(row[key]) == pytest.approx(history[key][0])


def test_ratios_when_all_is_masked():
    model = diagonal()
    for layer in ("a_scaling", "b_scaling"):
        model.get_layer(layer).mask.assign(model.get_layer(layer).mask * 0)
    history, _ = fit(L1Thresholding(0.1), model, epochs=1)
    original = 16 + 4 + 8 + 2
    assert history["kept_bases"] == [0]
    assert history["params_ratio"] == [(8 + 4 + 6 + 2) / original]
    assert cost(fold(prune(model))).params == 8 + 4 + 6 + 2


def test_unknown_sizes_leave_out_flops():
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    model = convert(model, rank=2)
    model.compile("sgd", "mse", run_eagerly=True)
    data = np.ones((2, 8, 8, 3)), np.zeros((2, 4))
    history = model.fit(*data, callbacks=[L1Thresholding(0.0)], verbose=0).history
    assert history["params_ratio"] == [66 / 112]
    assert "flops_ratio" not in history
    callback = L1Thresholding(0.0, scope="global", cost="flops")
    with pytest.raises(ValueError, match="fixed input size for `cost='flops'`"):
        model.fit(*data, callbacks=[callback], verbose=0)


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_masking_does_not_compile_anew(unit):
    model, traced = diagonal(), []
    train_step, test_step = model.train_step, model.test_step
    model.train_step = lambda data: (traced.append("train"), train_step(data))[1]
    model.test_step = lambda data: (traced.append("test"), test_step(data))[1]
    compiled = {"run_eagerly": False, "jit_compile": False}
    ramp = L1Thresholding(lambda step: 0.1 * step, unit=unit)
    history, _ = fit(ramp, model, epochs=5, compiled=compiled, validation_data=(X, Y))
    assert history["kept_bases"][0] == 6
    assert history["kept_bases"][-1] == 2
    assert len(set(history["val_loss"])) == 4 + (unit == "step")
    assert traced == ["train", "test"]


def test_trains_what_is_trainable():
    model = diagonal(l1=0.01)
    frozen = {w.path: array(w) for w in model.weights if not w.path.endswith("scale")}
    model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
    before = array(model.get_layer("a_scaling").scale)
    model.fit(X, Y, callbacks=[L1Thresholding(0.0)], verbose=0)
    assert not np.array_equal(array(model.get_layer("a_scaling").scale), before)
    for weight in model.weights:
        if weight.path in frozen:
            np.testing.assert_array_equal(array(weight), frozen[weight.path])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"threshold": -1}, "Expected `threshold` to be a number >= 0"),
        ({"threshold": "low"}, "Expected `threshold` to be a number, or a callable"),
        ({"score": "size"}, "Expected `score` to be 'magnitude', .*'size'"),
        ({"scope": "all"}, "Expected `scope` to be 'local' or 'global'"),
        ({"cost": "bytes"}, "Expected `cost` to be None, 'flops' or 'params'"),
        ({"unit": "batch"}, "Expected `unit` to be 'epoch' or 'step'.* unit='batch'"),
        ({"frequency": 0}, "`frequency` to be a positive integer.* frequency=0"),
        ({"start": -1}, "`start` to be an integer >= 0.* start=-1"),
        ({"min_kept": 0}, "Expected `min_kept` to be a positive integer"),
        ({"round_to": 0}, "Expected `round_to` to be a positive integer"),
        ({"monitor": "loss", "mode": "up"}, "Expected `mode` to be 'auto', 'min'"),
        (
            {"monitor": "loss", "max_drop": -1},
            "`max_drop` to be a number >= 0",
        ),
        (
            {"monitor": "loss", "patience": -1},
            "`patience` to be an integer >= 0",
        ),
    ],
)
def test_refuses_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        L1Thresholding(**arguments)


def test_refuses_an_ordinary_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6)], name="plain")
    with pytest.raises(ValueError, match="model='plain', without BasisScalingConv"):
        fit(L1Thresholding(), model)


@pytest.mark.parametrize("found", [{"c": [1.0]}, {"a": [1.0, 2.0]}, {"a": 1.0}])
def test_refuses_scores_of_other_layers(found):
    with pytest.raises(ValueError, match="Expected `score` to return an array of sha"):
        fit(L1Thresholding(0.1, score=lambda model: found))


def test_refuses_weights_that_are_not_finite():
    model = diagonal()
    model.get_layer("a_scaling").scale.assign([np.nan, 1, 1, 1])
    with pytest.raises(ValueError, match="finite numbers >= 0.* for `a`"):
        fit(L1Thresholding(0.1), model)
