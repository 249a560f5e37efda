"""A layer that follows the protocol goes through everything that knows the protocol."""

import keras
import numpy as np
import pytest
from channel_gain import Gain, channel_gain
from keras import layers
from models import array, identical, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask

GAINS = [0.5, 2.0, 0.1, 1.0, 1.5, 0.02]


def network(pool="average", data_format="channels_last"):
    """Channels that are read behind pooling and dropout, and behind `Flatten`."""
    first = {"data_format": data_format}
    x = inputs = keras.Input((8, 8, 3) if data_format[9:] == "last" else (3, 8, 8))
    relu = {"activation": "relu", "padding": "same", **first}
    x = layers.Conv2D(6, 3, name="a", **relu)(x)
    pools = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}
    x = pools[pool](2, **first)(x)
    x = layers.Conv2D(6, 3, name="b", **relu)(layers.Dropout(0.5)(x))
    x = layers.DepthwiseConv2D(3, name="depthwise", padding="same", **first)(x)
    x = layers.Conv2D(6, 1, name="c", **relu)(x)
    x = layers.Flatten(**first)(x)
    return randomize(keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x)))


def joined():
    """Channels that are read behind a concatenation."""
    x = inputs = keras.Input((8, 8, 3))
    a = layers.Conv2D(6, 3, activation="relu", name="a")(x)
    b = layers.Conv2D(6, 3, activation="tanh", name="b")(x)
    x = layers.Conv2D(5, 1, name="read")(layers.Concatenate()([a, b]))
    x = layers.GlobalMaxPooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(4, name="head")(x)))


def prepared(model, masked=(2, 5)):
    """Gains and masks of which nothing is 1, and the model's outputs."""
    model = channel_gain(model)
    for layer in model.layers:
        if isinstance(layer, Gain):
            layer.scale.assign(GAINS)
            layer.mask.assign(~np.isin(np.arange(6), masked))
    return model


@pytest.mark.parametrize(
    "make",
    [
        network,
        joined,
        lambda: network("max"),
        lambda: keras.Sequential([keras.Input((8, 8, 3)), joined()]),
    ],
    ids=["average", "joined", "max", "nested"],
)
def test_masked_pruned_and_folded_agree(make, tmp_path):
    original = make()
    x = sample(original)
    before = outputs(original, x)
    assert identical(before, outputs(channel_gain(original), x))
    model = prepared(original)
    masked = outputs(model, x)
    assert relative_difference(before, masked) > 1e-2
    plan = kbp.Plan.from_masks(model)
    names = [layer.name for layer in model.layers if isinstance(layer, Gain)]
    assert len(names) >= 2
    kept = kbp.plans.Kept((0, 1, 3, 4), 6)
    assert plan == kbp.Plan(channels={n.removesuffix("_gain"): kept for n in names})
    pruned = kbp.prune(model)
    assert {pruned.get_layer(name).scale.shape for name in names} == {(4,)}
    assert pruned.count_params() < model.count_params()
    assert relative_difference(masked, outputs(pruned, x)) <= 1e-5
    for form in (kbp.fold(model), folded := kbp.fold(pruned)):
        assert relative_difference(masked, outputs(form, x)) <= 1e-5
        assert all(type(op).__module__.startswith("keras.") for op in form.layers)
    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    assert identical(outputs(folded, x), outputs(loaded, x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert identical(masked, outputs(loaded, x))
    assert kbp.Plan.from_masks(loaded) == plan
    assert identical(before, outputs(original, x))


@pytest.mark.parametrize("make", [network, joined])
def test_factors_go_into_kernels_where_they_can(make):
    folded = kbp.fold(prepared(make()))
    assert not any(isinstance(op, layers.Rescaling) for op in folded.layers)


@pytest.mark.parametrize("axis", ["above", "twice", "own"])
def test_factors_stay_where_a_concatenation_mixes_them(axis):
    """One above the other, a channel beside itself, and one beside its like."""
    x = inputs = keras.Input((4, 6, 6))
    a, b = Gain(name="a_gain")(x), layers.ReLU()(x)
    joined = {
        "above": lambda: layers.Concatenate(1)([a, b]),
        "twice": lambda: layers.Concatenate()([a, layers.Dropout(0.5)(a)]),
        "own": lambda: layers.Concatenate()([a, b]),
    }
    model = keras.Model(inputs, layers.Conv2D(5, 1)(joined[axis]()))
    model = randomize(model)
    model.get_layer("a_gain").scale.assign(GAINS)
    model.get_layer("a_gain").mask.assign(np.ones(6))
    x, folded = sample(model), kbp.fold(model)
    found = [op for op in folded.layers if isinstance(op, layers.Rescaling)]
    assert [op.name for op in found] == ["a_gain"]
    np.testing.assert_array_equal(np.ravel(found[0].scale), np.float32(GAINS))
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= 1e-6


def test_a_negative_gain_does_not_pass_the_largest_value():
    model = prepared(network("max"))
    model.get_layer("a_gain").scale.assign(np.negative(GAINS))
    x = sample(model)
    folded = kbp.fold(model)
    assert [op.name for op in folded.layers if isinstance(op, layers.Rescaling)] == [
        "a_gain"
    ]
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= 1e-5


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_factors_of_a_depthwise_convolution_and_of_a_sum(data_format):
    first = {"data_format": data_format}
    x = inputs = keras.Input((4, 6, 4))
    x = Gain(name="conv_gain", **first)(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise", **first)(x)
    y = Gain(name="depthwise_gain", **first)(x)
    model = randomize(keras.Model(inputs, layers.Add()([x, y])))
    for layer in model.layers:
        if isinstance(layer, Gain):
            layer.scale.assign(GAINS[:4])
            layer.mask.assign([1, 0, 1, 1])
    folded = kbp.fold(model)
    kinds = [type(layer).__name__ for layer in folded.layers]
    assert kinds == ["InputLayer", "DepthwiseConv2D", "Rescaling", "Add"]
    x = sample(model)
    if data_format == "channels_first":  # which the CPU does not convolve
        found = array(folded.get_layer("depthwise").kernel)
        kernel = array(model.get_layer("depthwise").kernel)
        factors = np.array([0.5, 0.0, 0.1, 1.0]).reshape(-1, 1)
        np.testing.assert_allclose(found, kernel * factors, rtol=1e-6)
        x, gain = x[:, :, :1], model.get_layer("depthwise_gain")
        found = folded.get_layer("depthwise_gain")(x)
        np.testing.assert_allclose(array(found), array(gain(x)), rtol=1e-6)
        return
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= 1e-5


def test_bases_of_a_network_with_gains():
    """Both at once: bases and channels leave by one plan."""
    model = prepared(network())
    converted = kbp.convert(model, include="b")
    converted.get_layer("b_scaling").mask.assign([1, 1, 0, 0, 1, 0])
    x = sample(model)
    masked = outputs(converted, x)
    plan = kbp.Plan.from_masks(converted)
    assert plan.bases["b"].indices == (0, 1, 4)
    assert set(plan.channels) == {"a", "c"}
    kinds = {name: m.kind for name, m in trained_masks(trace(converted)).items()}
    assert kinds == {"a": "channels", "b": "bases", "c": "channels"}
    pruned = kbp.prune(converted)
    assert relative_difference(masked, outputs(pruned, x)) <= 1e-5
    assert relative_difference(masked, outputs(kbp.fold(converted), x)) <= 1e-5


def test_scores():
    model = prepared(network(), masked=(2,))
    strength = np.array(GAINS, "float32").astype(float) * [1, 1, 0, 1, 1, 1]
    found = kbp.scores.magnitude(model)
    assert set(found) == {"a", "c"}
    np.testing.assert_allclose(found["a"], strength / 2.0, rtol=1e-6)
    energies = strength**2 / (strength**2).sum()
    np.testing.assert_allclose(kbp.scores.energy(model)["c"], energies, rtol=1e-6)
    x, y = sample(model, batch=8), np.arange(8) % 4
    taylor = kbp.scores.taylor(model, (x, y), loss="sparse_categorical_crossentropy")
    assert taylor["c"][2] == 0.0 < taylor["c"][0]


def test_the_callback_masks_channels_and_tells_what_is_left():
    model = channel_gain(network(), l1=1e-3)
    for layer in trained_masks(trace(model)).values():
        layer.layer.scale.assign(GAINS)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y = sample(model, batch=8), np.arange(8) % 4
    callback = kbp.L1Thresholding(0.2, scope="local")
    logs = model.fit(x, y, verbose=0, callbacks=[callback]).history
    assert logs["kept_channels"] == [8]
    assert "kept_bases" not in logs
    for name in "ac":
        mask = array(model.get_layer(f"{name}_gain").mask)
        np.testing.assert_array_equal(mask, [1, 1, 0, 1, 1, 0])
    before, small = (
        kbp.measure.cost(network()),
        kbp.measure.cost(kbp.fold(kbp.prune(model))),
    )
    assert logs["params_ratio"] == [pytest.approx(small.params / before.params)]
    assert logs["flops_ratio"] == [pytest.approx(small.flops / before.flops)]


@pytest.mark.parametrize("score", ["energy", "taylor"])
def test_the_callback_by_cost_and_by_taylor(score):
    model = channel_gain(network())
    model.get_layer("c_gain").scale.assign(GAINS)
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    x, y = sample(model, batch=8), np.arange(8) % 4
    callback = kbp.L1Thresholding(
        lambda step: (True, 0.3), score=score, scope="global", cost="flops", start=1
    )
    logs = model.fit(x, y, epochs=2, verbose=0, callbacks=[callback]).history
    assert logs["kept_channels"] == [12, 9]
    assert sum(map(int, array(model.get_layer("c_gain").mask))) < 6


def test_only_scales_and_head_recover():
    model = prepared(network())
    before = {w.path: array(w) for w in model.weights}
    config = kbp.Recovery(weights="scales", epochs=1)
    kbp.recover(model, (sample(model, batch=8), np.arange(8) % 4), config=config)
    changed = {w.path for w in model.weights if np.any(before[w.path] != array(w))}
    assert changed == {
        *(f"{name}_gain/scale" for name in "ac"),
        *("head/kernel", "head/bias"),
    }


def test_nothing_is_guessed_about_layers_that_say_too_little():
    class Silent(TrainedMask):
        def build(self, shape):
            self.add_scale_and_mask(shape[-1])

    layer = Silent(l1=0.1)
    layer.build((None, 3))
    with pytest.raises(NotImplementedError, match="Silent lacks `weighs`"):
        layer.strength(), layer.weighs
    with pytest.raises(ValueError, match="one of `l1` and `scale_regularizer`"):
        Silent(l1=0.1, scale_regularizer="l2")
    with pytest.raises(ValueError, match="Expected `l1` to be a finite number >= 0"):
        Silent(l1=-1.0)


def test_a_name_that_the_model_does_not_have():
    x = inputs = keras.Input((8, 8, 3))
    x = Gain(name="other_gain")(layers.Conv2D(4, 3, name="conv")(x))
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`other_gain` to weigh the channels.*`other`"):
        model.fit(
            sample(model),
            np.zeros((2, 6, 6, 2)),
            callbacks=[kbp.L1Thresholding(0.1)],
            verbose=0,
        )
