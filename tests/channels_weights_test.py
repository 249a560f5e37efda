"""Layers with weights that their rules don't know: pinned, named, never cut wrongly."""

import re

import keras
import numpy as np
import pytest
from channel_oracle import between, random_plan, zeroed
from keras import layers
from models import array, identical, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph.decomposable import decomposable
from keras_basisprune.graph.rules import rule_of


def around(layer, shape=(8, 8, 3)):
    """Convolutions `a` and `b`, the layer, then two more layers."""
    x = inputs = keras.Input(shape)
    for name in "ab":
        x = layers.Conv2D(6, 3, name=name, activation="relu")(x)
    x = layer(layers.GlobalAveragePooling2D()(x))
    x = layers.Dense(5, activation="relu", name="c")(x)
    return randomize(keras.Model(inputs, layers.Dense(2, name="head")(x)))


def looked_up(**kwargs):
    x = inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(5, 8, name="layer", **kwargs)(x)
    x = layers.Conv1D(6, 3, name="c", activation="relu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return randomize(keras.Model(inputs, layers.Dense(2, name="head")(x)))


MODELS = {
    "dense": lambda **kwargs: around(layers.Dense(8, name="layer", **kwargs)),
    "einsum": lambda **kwargs: around(
        layers.EinsumDense("ab,bc->ac", 8, bias_axes="c", name="layer", **kwargs)
    ),
    "embedding": looked_up,
    "in time steps": lambda **kwargs: around(
        keras.Sequential(
            [
                layers.Reshape((2, 3)),
                layers.TimeDistributed(layers.Dense(4, **kwargs), name="layer"),
                layers.GlobalAveragePooling1D(),
            ]
        )
    ),
}


def calibrated(layer, seed=0):
    """Gives a layer that was built as quantized by GPTQ or AWQ some weights."""
    rng = np.random.default_rng(seed)
    store = {}
    names = layer.variable_serialization_spec[layer.quantization_mode]
    for position, name in enumerate(names):
        weight = getattr(layer, name)
        whole = "int" in str(weight.dtype)
        value = rng.integers(0, 15, weight.shape) if whole else rng.random(weight.shape)
        store[str(position)] = np.asarray(value * (name != "g_idx"), str(weight.dtype))
    layer.load_own_variables(store)


def quantized(kind, mode):
    if mode in ("gptq", "awq"):
        model = MODELS[kind](dtype=f"{mode}/4/128_from_float32")
        calibrated(model.get_layer("layer"))
    else:
        model = MODELS[kind]()
        found = {layer.name: layer for layer in keras_layers(model)}
        layer = found["layer"]
        getattr(layer, "layer", layer).quantize(mode)
    return model


def keras_layers(model):
    for layer in model.layers:
        yield from keras_layers(layer) if isinstance(layer, keras.Model) else [layer]


def hold_all_but_the_layer(model):
    """What is not the layer's still leaves, and copies compute the same."""
    x = sample(model)
    before = outputs(model, x)
    for copy in (kbp.graph.flatten(model), kbp.convert(model), kbp.fold(model)):
        assert relative_difference(before, outputs(copy, x)) <= 1e-5
    plan = random_plan(model, share=0.5)
    assert plan.channels and "layer" not in plan.channels
    small = kbp.prune(model, plan)
    expected = outputs(zeroed(model, plan), x)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5
    assert small.count_params() < model.count_params()


CASES = [
    *((kind, mode) for kind in ("dense", "einsum") for mode in ("int8", "int4")),
    *((kind, mode) for kind in ("embedding", "in time steps") for mode in ("int8",)),
    *(("dense", mode) for mode in ("float8", "gptq", "awq")),
    ("in time steps", "int4"),
    ("embedding", "int4"),
]


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_quantized_layers_stay_whole(kind, mode):
    model = quantized(kind, mode)
    groups = kbp.graph.channel_groups(model)
    assert not groups.prunable("layer").any()
    reason = f"`layer` is quantized to {mode}: prune before quantizing"
    assert any(why.startswith(reason) for why in groups.pinned.values())
    width = len(groups.layers["layer"])
    plan = kbp.Plan(channels={"layer": kbp.plans.Kept(range(width - 1), width)})
    weights = [array(w) for w in model.weights]
    with pytest.raises(ValueError, match=rf"can't be removed.*{re.escape(reason)}"):
        kbp.prune(model, plan)
    assert identical(weights, [array(w) for w in model.weights])
    hold_all_but_the_layer(model)


def adapted(layer, seed=0):
    """Gives a layer adapters that do something."""
    layer.enable_lora(2)
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if "lora" in weight.name:
            weight.assign(rng.normal(size=weight.shape) * 0.3)


LORA = {
    "dense": (MODELS["dense"], None),
    "einsum": (MODELS["einsum"], None),
    "embedding": (MODELS["embedding"], None),
    **{
        f"conv{rank}d": (
            lambda rank=rank, conv=conv: randomize(
                between(
                    lambda x: conv(8, 3, padding="same", name="layer")(x),
                    (*(6,) * rank, 3),
                    conv,
                )
            ),
            "LoRA is enabled: merge it first (`fold(model, batch_norm=False)`)",
        )
        for rank, conv in enumerate((layers.Conv1D, layers.Conv2D, layers.Conv3D), 1)
    },
}


@pytest.mark.parametrize("kind", LORA)
def test_lora_stays_until_it_is_merged(kind):
    make, obstacle = LORA[kind]
    model = make()
    layer = model.get_layer("layer")
    x = sample(model)
    bare = outputs(model, x)
    adapted(layer)
    groups = kbp.graph.channel_groups(model)
    assert not groups.prunable("layer").any()
    reason = "LoRA is enabled in `layer`: merge it first"
    assert any(why.startswith(reason) for why in groups.pinned.values())
    if obstacle:
        assert decomposable(layer) == obstacle
    before = outputs(model, x)
    assert relative_difference(before, bare) > 0.01  # the adapters do something
    hold = kbp.graph.flatten(model)
    assert relative_difference(before, outputs(hold, x)) <= 1e-6
    merged = kbp.fold(model, batch_norm=False)
    assert relative_difference(before, outputs(merged, x)) <= 1e-5
    assert not merged.get_layer("layer").lora_enabled
    names = {weight.name for weight in merged.get_layer("layer").weights}
    assert not any("lora" in name for name in names)
    assert merged.get_layer("layer").trainable_weights
    assert kbp.graph.channel_groups(merged).prunable("layer").all()
    plan = kbp.Plan(channels={"layer": kbp.plans.Kept((0, 1, 2, 4, 7), 8)})
    small = kbp.prune(merged, plan)
    expected = outputs(zeroed(merged, plan), x)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5
    again = kbp.fold(merged, batch_norm=False)
    assert identical(outputs(again, x), outputs(merged, x))


def test_lora_and_batch_normalization_are_folded_together():
    model = randomize(
        between(lambda x: layers.BatchNormalization(name="bn")(x), (6, 6, 3))
    )
    adapted(model.get_layer("a"))
    x = sample(model)
    plain = kbp.fold(model)
    assert [layer.name for layer in plain.layers[1:]] == ["a", "b"]
    assert not plain.get_layer("a").lora_enabled
    assert relative_difference(outputs(model, x), outputs(plain, x)) <= 1e-5


def test_layers_inside_of_attention():
    x = inputs = keras.Input((4, 6))
    x = layers.Dense(6, name="a")(x)
    x = layers.MultiHeadAttention(2, 3, name="look")(x, x)
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    assert kbp.graph.channel_groups(model).prunable("a").all()
    adapted(model.get_layer("look").query_dense)
    groups = kbp.graph.channel_groups(model)
    assert not groups.prunable("a").any() and not groups.prunable("look").any()
    reason = "`look` has weights that its rule does not know: "
    assert reason + "kernel, lora_kernel_a, lora_kernel_b" in groups.pinned.values()
    # Its config does not say so, and no copy can be made.
    with pytest.raises(ValueError, match=r"clone of `look`.*layers inside.*got LoRA"):
        kbp.graph.flatten(model)


LEARNED = {
    "convolution": lambda: between(
        layers.Conv2D(4, 1, activation=layers.PReLU(shared_axes=[1, 2]), name="layer")
    ),
    "dense": lambda: around(layers.Dense(4, activation=layers.PReLU(), name="layer")),
    "activation": lambda: between(layers.Activation(layers.PReLU(), name="layer")),
}


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("name", LEARNED)
def test_activations_with_weights(name, called):
    model = LEARNED[name]()
    x, activation = sample(model), model.get_layer("layer").activation
    if called:  # which is when they get their weights
        model(x)
        activation.alpha.assign(np.full(activation.alpha.shape, 0.3))
    assert activation.built == called
    groups = kbp.graph.channel_groups(model)
    assert activation.built == called
    assert "the activation of `layer` has weights" in groups.pinned.values()
    if "layer" in groups.layers:  # as soon as it has weights
        assert not groups.prunable("layer").any()
    assert groups.prunable("a").all() == (name == "dense")
    copy = kbp.graph.flatten(model)
    before = outputs(model, x)
    assert relative_difference(before, outputs(copy, x)) <= 1e-6
    mine, its = activation, copy.get_layer("layer").activation
    np.testing.assert_array_equal(array(mine.alpha), array(its.alpha))
    assert np.all(array(its.alpha) == (0.3 if called else 0))


def test_activations_that_are_layers_are_not_built_for_a_trial():
    @keras.saving.register_keras_serializable("tests")
    class Curve(layers.Layer):
        def build(self, shape):
            self.ndim = len(shape)

        def call(self, x):
            assert len(x.shape) == self.ndim
            return keras.ops.tanh(x)

    model = randomize(
        between(layers.Conv2D(4, 1, activation=Curve(name="curve"), name="layer"))
    )
    assert kbp.graph.channel_groups(model).prunable("layer").all()
    plan = kbp.Plan(channels={"layer": kbp.plans.Kept((0, 2), 4)})
    x = sample(model)
    small = kbp.prune(model, plan)
    expected = outputs(zeroed(model, plan), x)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5


def test_batch_renormalization_is_cut_whole():
    norm = layers.BatchNormalization(renorm=True, name="bn")
    model = randomize(between(lambda x: norm(x)))
    for weight in norm.weights:  # none of them is what it was at first
        weight.assign(np.random.default_rng(len(weight.path)).random(6) + 0.5)
    plan = kbp.Plan(channels={"a": kbp.plans.Kept((0, 3, 4), 6)})
    small = kbp.prune(model, plan)
    assert len(norm.weights) == 7
    for before, after in zip(norm.weights, small.get_layer("bn").weights, strict=True):
        np.testing.assert_array_equal(array(before)[[0, 3, 4]], array(after))
    x = sample(model)
    expected = outputs(zeroed(model, plan), x)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5


CLASSES = {
    "conv": lambda: (layers.Conv2D(4, 3), (6, 6, 3)),
    "transposed": lambda: (layers.Conv1DTranspose(4, 3), (6, 3)),
    "depthwise": lambda: (layers.DepthwiseConv2D(3), (6, 6, 3)),
    "separable": lambda: (layers.SeparableConv1D(4, 3), (6, 3)),
    "dense": lambda: (layers.Dense(4), (6, 3)),
    "einsum": lambda: (layers.EinsumDense("ab,bc->ac", 4, bias_axes="c"), (3,)),
    "scaling": lambda: (kbp.BasisScalingConv(4, centered=True), (6, 6, 3)),
    "batch norm": lambda: (layers.BatchNormalization(), (6, 6, 3)),
    "layer norm": lambda: (layers.LayerNormalization(), (6, 3)),
    "rms norm": lambda: (layers.RMSNormalization(), (6, 3)),
    "group norm": lambda: (layers.GroupNormalization(3), (6, 3)),
    "normalization": lambda: (layers.Normalization(), (6, 3)),
    "prelu": lambda: (layers.PReLU(), (6, 3)),
    "lstm": lambda: (layers.LSTM(4), (6, 3)),
    "bidirectional": lambda: (layers.Bidirectional(layers.GRU(4)), (6, 3)),
    "time": lambda: (layers.TimeDistributed(layers.Dense(4)), (6, 3)),
    "attention": lambda: (layers.MultiHeadAttention(2, 3), (6, 3)),
    "grouped queries": lambda: (layers.GroupQueryAttention(3, 4, 2), (6, 3)),
    "additive": lambda: (layers.AdditiveAttention(), (6, 3)),
    "reshape": lambda: (layers.Reshape((3, 6)), (6, 3)),
    "rescaling": lambda: (layers.Rescaling([1.0, 2.0, 3.0]), (6, 3)),
    "concatenate": lambda: (layers.Concatenate(), (6, 3)),
}


def called(layer, shape):
    inputs = keras.Input(shape)
    x = layers.Dense(shape[-1], name="before")(inputs)
    several = isinstance(layer, layers.AdditiveAttention | layers.Concatenate)
    twice = isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention)
    made = layer([x, x]) if several else layer(x, x) if twice else layer(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(made)))


@pytest.mark.parametrize("name", CLASSES)
def test_rules_know_all_weights_of_their_layers_and_no_others(name):
    layer, shape = CLASSES[name]()
    called(layer, shape)
    known = rule_of(layer).weights(layer)
    assert known is not None
    layer, shape = CLASSES[name]()
    layer.extra = layer.add_weight(shape=(3,), name="mine")
    pinned = kbp.graph.channel_groups(called(layer, shape)).pinned.values()
    reason = f"`{layer.name}` has weights that its rule does not know: mine"
    assert reason in pinned
    layer, shape = CLASSES[name]()
    layer.extra = layer.add_weight(shape=(), name="one_number")
    pinned = kbp.graph.channel_groups(called(layer, shape)).pinned.values()
    assert not any("does not know" in why for why in pinned)


def test_a_wrapper_without_a_rule():
    conv = layers.SpectralNormalization(layers.Conv2D(4, 1), name="wrapped")
    groups = kbp.graph.channel_groups(between(conv))
    reason = "no rule for `wrapped` (of type SpectralNormalization)"
    assert reason in groups.pinned.values()
    assert not groups.prunable("a").any()


@keras.saving.register_keras_serializable("tests")
class Gain(layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=shape[-1:], name="gain")
        self.shift = self.add_weight(shape=shape[-1:], name="shift")

    def call(self, inputs):
        return inputs * self.gain + self.shift


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gain"], r"rule for `g` \(of type Gain\).*none for `shift`.*\(6,\).*\(2,\)"),
        (["gain", "shift", "name"], "`name` to name a weight of `g`.*type str"),
    ],
)
def test_a_rule_of_ones_own_that_forgets_a_weight(names, message):
    @kbp.graph.channel_rule(Gain)
    class GainRule:
        def propagate(self, layer, inputs, flow):
            return inputs[0]

        def cut(self, layer, kept_in, kept_out):
            return {}, {name: kept_in[0].take(layer.gain) for name in names}

    model = randomize(between(Gain(name="g")))
    assert (
        kbp.graph.channel_groups(model).prunable("a").all()
    )  # a user's rule is trusted
    with pytest.raises(ValueError, match=message):
        kbp.prune(model, kbp.Plan(channels={"a": kbp.plans.Kept((1, 3), 6)}))


@pytest.mark.parametrize("treat", ["int8", "lora"])
def test_compensate_leaves_them_alone(treat):
    model = around(layers.Dense(8, name="layer"))
    layer = model.get_layer("layer")
    adapted(layer) if treat == "lora" else layer.quantize("int8")
    x = sample(model, batch=60)
    plan = kbp.Plan(channels={"a": kbp.plans.Kept((0, 1, 2, 4), 6)})
    before = outputs(model, x)[0]
    errors = [
        np.mean((outputs(small, x)[0] - before) ** 2)
        for small in (
            kbp.compensate(model, plan, x, verbose=0),
            kbp.prune(model, plan),
        )
    ]
    assert errors[0] < errors[1]
    small = kbp.compensate(model, plan, x, verbose=0)
    kept = [array(w) for w in small.get_layer("layer").weights]
    found = {w.name: array(w) for w in layer.weights}
    for weight, value in zip(small.get_layer("layer").weights, kept, strict=True):
        np.testing.assert_array_equal(found[weight.name], value)
