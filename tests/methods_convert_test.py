import re

import keras
import numpy as np
import pytest
from keras import layers
from models import (
    KINDS,
    array,
    frozen,
    identical,
    left_alone,
    nested,
    outputs,
    plain,
    randomize,
    relative_difference,
    sample,
    separable,
)

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace

TOLERANCE = 1e-5  # relative to the largest output, float32


def one(layer, shape):
    inputs = keras.Input(shape)
    return randomize(keras.Model(inputs, layer(inputs)))


def pairs(model):
    return basis_pairs(trace(model))


def names(model):
    return [layer.name for layer in model.layers]


CONVOLUTIONS = {
    f"{rank}d-{index}": (rank, arguments)
    for rank in (1, 2, 3)
    for index, arguments in enumerate(
        (
            {"padding": "valid", "strides": 2},
            {"padding": "same", "strides": 2},
            {"padding": "valid", "dilation_rate": 2, "use_bias": False},
            {"padding": "same", "dilation_rate": 2, "activation": "sigmoid"},
            {"kernel_size": 1, "filters": 9},
        )
    )
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case):
    rank, arguments = CONVOLUTIONS[case]
    kind = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    arguments = {"filters": 5, "kernel_size": 3, "name": "conv"} | arguments
    model = one(kind(**arguments), (7, 8, 6)[:rank] + (3,))
    converted, x = kbp.convert(model), sample(model)
    assert relative_difference(outputs(model, x), outputs(converted, x)) <= TOLERANCE
    assert names(converted)[1:] == ["conv_basis", "conv_scaling"]
    basis, old = converted.get_layer("conv_basis"), model.get_layer("conv")
    assert type(basis) is kind
    same = ("kernel_size", "strides", "padding", "dilation_rate", "data_format")
    assert all(getattr(basis, key) == getattr(old, key) for key in same)
    assert not basis.use_bias
    assert basis.activation is keras.activations.linear


def test_causal_convolution():
    conv = layers.Conv1D(5, 3, padding="causal", dilation_rate=2, name="conv")
    model = one(conv, (9, 3))
    converted, x = kbp.convert(model), sample(model)
    assert relative_difference(outputs(model, x), outputs(converted, x)) <= TOLERANCE
    late = x.copy()
    late[:, 5:] = 9.0
    a, b = array(converted(x)), array(converted(late))
    np.testing.assert_array_equal(a[:, :5], b[:, :5])


@pytest.mark.parametrize("shape", [(6,), (4, 6), (3, 4, 6), (2, 3, 4, 2, 6)])
def test_dense(shape):
    model = one(layers.Dense(4, activation="relu", name="dense"), shape)
    converted, x = kbp.convert(model, include="dense"), sample(model)
    assert relative_difference(outputs(model, x), outputs(converted, x)) <= TOLERANCE
    assert names(converted)[1:] == ["dense_basis", "dense_scaling"]
    assert type(converted.get_layer("dense_basis")) is layers.Dense


@pytest.mark.parametrize(
    "arguments",
    [
        {"strides": 2, "padding": "same"},
        {"depth_multiplier": 3, "activation": "relu"},
        {"dilation_rate": 2, "use_bias": False},
    ],
)
@pytest.mark.parametrize("kind", [layers.SeparableConv1D, layers.SeparableConv2D])
def test_separable_convolutions(kind, arguments):
    model = one(
        kind(5, 3, name="conv", **arguments),
        (9, 8, 4)[kind is not layers.SeparableConv2D :],
    )
    converted, x = kbp.convert(model), sample(model)
    assert relative_difference(outputs(model, x), outputs(converted, x)) <= TOLERANCE
    assert names(converted)[1:] == ["conv_depthwise", "conv_basis", "conv_scaling"]
    depthwise, basis, scaling = converted.layers[1:]
    assert isinstance(depthwise, layers.DepthwiseConv1D | layers.DepthwiseConv2D)
    np.testing.assert_array_equal(
        array(depthwise.kernel), array(model.get_layer("conv").depthwise_kernel)
    )
    assert set(basis.kernel_size) == {1}
    assert [v.name for v in converted.trainable_variables] == ["scale"]


def test_the_halves_are_the_singular_value_decomposition():
    model = one(layers.Conv2D(5, 3, name="conv"), (6, 6, 2))
    pair = pairs(kbp.convert(model))["conv"]
    matrix = array(model.get_layer("conv").kernel).reshape(18, 5)
    u = array(pair.basis.kernel).reshape(18, 5)
    kernel = array(pair.scaling.kernel)
    np.testing.assert_allclose(u.T @ u, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(u @ kernel, matrix, atol=1e-6)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(pair.singular_values, values, rtol=1e-5)
    np.testing.assert_array_equal(pair.scale, np.ones(5))
    assert pair.mask.all()
    assert pair.rank == 5
    bias = array(model.get_layer("conv").bias)
    np.testing.assert_array_equal(array(pair.scaling.bias), bias)


@pytest.mark.parametrize("rank", [1, 3, 4, np.int64(2)])
def test_rank_as_a_number(rank):
    model = randomize(plain())
    found = pairs(kbp.convert(model, rank=rank))
    full = {"first": 8, "wide": 6, "block": 5}
    assert {k: p.rank for k, p in found.items()} == {
        k: min(n, rank) for k, n in full.items()
    }
    kernel = array(model.get_layer("wide").kernel).reshape(-1, 6)
    u, s, vt = np.linalg.svd(kernel, full_matrices=False)
    best = (u[:, :rank] * s[:rank]) @ vt[:rank]
    wide = found["wide"]
    product = array(wide.basis.kernel).reshape(-1, rank) @ array(wide.scaling.kernel)
    np.testing.assert_allclose(product, best, atol=1e-5)


@pytest.mark.parametrize("energy", [0.3, 0.9, np.float32(0.99), 1.0])
def test_rank_as_a_share_of_energy(energy):
    model = randomize(plain())
    converted = kbp.convert(model, rank=energy)
    described = {x.name: x for x in kbp.describe(converted).decomposed}
    for name, pair in pairs(converted).items():
        kernel = array(model.get_layer(name).kernel)
        matrix = kernel.reshape(-1, kernel.shape[-1])
        shares = np.linalg.svd(matrix, compute_uv=False).astype(np.float64) ** 2
        shares = np.cumsum(shares) / shares.sum()
        assert shares[pair.rank - 1] >= float(energy) - 1e-6
        assert pair.rank == 1 or shares[pair.rank - 2] < float(energy)
        assert pair.scaling.energy == pytest.approx(shares[pair.rank - 1], rel=1e-5)
        assert described[name].energy == pytest.approx(pair.scaling.energy, rel=1e-5)
        assert described[name].rank == pair.rank


def test_only_scales_and_what_was_trainable_before_can_be_trained():
    model = randomize(plain())
    converted = kbp.convert(model, l1=1e-3)
    assert {v.path for v in converted.trainable_variables} == {
        *(f"{name}_scaling/scale" for name in ("first", "wide", "block")),
        *(f"{name}/{v}" for name in ("bn", "block_bn") for v in ("gamma", "beta")),
        "head/kernel",
        "head/bias",
    }
    assert not any(p.basis.trainable for p in pairs(converted).values())
    assert float(sum(converted.losses)) == pytest.approx(1e-3 * (8 + 6 + 5))
    assert kbp.convert(model).losses == []


def test_frozen_layers_stay_frozen_and_get_trainable_scales():
    converted = kbp.convert(randomize(frozen()))
    assert {v.path for v in converted.trainable_variables} == {
        *(f"{name}_scaling/scale" for name in ("first", "wide", "block")),
        "top/kernel",
        "top/bias",
    }


def test_training_moves_the_scales_alone():
    model = randomize(plain())
    for layer in model.layers:
        layer.trainable = False
    converted, x = kbp.convert(model), sample(model, batch=8)
    converted.compile(keras.optimizers.SGD(0.1), "mse")
    before = {v.path: array(v) for v in converted.weights}
    converted.train_on_batch(x, np.zeros((8, 4)))
    moved = {v.path for v in converted.weights if (array(v) != before[v.path]).any()}
    assert moved == {f"{name}_scaling/scale" for name in ("first", "wide", "block")}


def wide_kernel(layer):
    return isinstance(layer, layers.Conv2D) and layer.kernel_size == (3, 2)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (None, None, ["first", "wide", "block"]),
        ("wide", None, ["wide"]),
        ("head", None, ["head"]),
        ("w.*|first", None, ["first", "wide"]),
        (re.compile("(?i)FIRST"), None, ["first"]),
        (layers.Dense, None, ["head"]),
        ([layers.Conv2D, layers.Dense], None, ["first", "wide", "block", "head"]),
        (wide_kernel, None, ["wide"]),
        (["head", wide_kernel], None, ["wide", "head"]),
        (None, "wide", ["first", "block"]),
        (None, ["wide", "b.*ck"], ["first"]),
        (None, wide_kernel, ["first", "block"]),
        (layers.Layer, layers.Conv2D, ["head"]),
        (lambda layer: True, re.compile("first"), ["wide", "block", "head"]),
    ],
)
def test_include_and_exclude(include, exclude, expected):
    model = randomize(plain())
    converted = kbp.convert(model, include=include, exclude=exclude)
    assert list(pairs(converted)) == expected
    x = sample(model)
    assert relative_difference(outputs(model, x), outputs(converted, x)) <= TOLERANCE


def test_what_is_left_alone_is_reported_with_the_reason():
    model = randomize(left_alone())
    described = kbp.describe(kbp.convert(model))
    assert [x.name for x in described.decomposed] == ["plain"]
    reasons = {x.name: x.reason for x in described.left_alone}
    assert list(reasons) == ["depthwise", "grouped", "transposed"]
    assert "each channel has a filter of its own" in reasons["depthwise"]
    assert reasons["grouped"] == "grouped convolution (2 groups): not supported"
    assert reasons["transposed"] == "transposed convolution: not supported"
    described = kbp.describe(kbp.convert(randomize(plain()), exclude="wide"))
    assert {x.name: x.reason for x in described.left_alone} == {
        "wide": "not chosen",
        "head": "not chosen",
    }


def test_layers_that_only_look_alike_are_left_alone():
    class Halved(layers.Conv2D):
        def call(self, inputs):
            return super().call(inputs) / 2.0

    prelu = layers.Conv2D(3, 1, activation=layers.PReLU(), name="prelu")
    x = inputs = keras.Input((6, 6, 3))
    x = prelu(layers.Dense(4, name="lora")(Halved(4, 3, name="halved")(x)))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="conv")(x))
    model.get_layer("lora").enable_lora(2)
    randomize(model)
    converted = kbp.convert(model, include=lambda layer: True)
    x = sample(model)
    assert relative_difference(outputs(model, x), outputs(converted, x)) <= TOLERANCE
    reasons = {x.name: x.reason for x in kbp.describe(converted).left_alone}
    assert "Halved is a subclass of a Keras layer" in reasons["halved"]
    assert "LoRA is enabled" in reasons["lora"]
    assert "activation `p_re_lu" in reasons["prelu"]
    folded = kbp.fold(converted)
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= TOLERANCE


def test_names_of_layers_in_nested_models():
    converted = kbp.convert(randomize(nested()))
    expected = ["conv", "stem_conv", "inner_conv", "conv_1"]
    assert list(pairs(converted)) == expected
    folded = kbp.fold(converted)
    kinds = [x.name for x in folded.layers if isinstance(x, layers.Conv2D)]
    assert [name for name in kinds if "_basis" not in name] == expected


def test_names_that_are_taken_already():
    x = inputs = keras.Input((6, 6, 3))
    for name in ("conv_basis", "conv", "conv_scaling", "conv_1"):
        x = layers.Conv2D(4, 1, name=name)(x)
    model = randomize(keras.Model(inputs, x))
    converted, x = kbp.convert(model, rank=2), sample(model)
    assert len(set(names(converted))) == 9
    assert len(pairs(converted)) == 4
    folded = kbp.fold(converted)
    assert relative_difference(outputs(converted, x), outputs(folded, x)) <= TOLERANCE


def test_an_all_zero_kernel():
    model = one(layers.Conv2D(4, 3, name="conv"), (6, 6, 2))
    model.get_layer("conv").kernel.assign(np.zeros((3, 3, 2, 4)))
    converted, x = kbp.convert(model, rank=0.9), sample(model)
    np.testing.assert_array_equal(array(model(x)), array(converted(x)))
    assert pairs(converted)["conv"].rank == 1


def test_a_layers_own_regularizers():
    x = inputs = keras.Input((6, 6, 3))
    conv = layers.Conv2D(
        4,
        3,
        kernel_regularizer="l2",
        bias_constraint="non_neg",
        activity_regularizer=keras.regularizers.L2(0.1),
        name="conv",
    )
    model = randomize(keras.Model(inputs, conv(x)))
    converted, x = kbp.convert(model), sample(model)
    outputs(model, x), outputs(converted, x)
    activity, weights = model.losses
    assert float(converted.losses[0]) == pytest.approx(float(activity), rel=1e-5)
    assert float(weights) > 0.0
    assert len(converted.losses) == 1  # that of the frozen kernel is left out


def test_the_model_comes_back_uncompiled_and_the_original_untouched():
    model = randomize(plain())
    model.compile("adam", "mse")
    x = sample(model)
    before, weights = outputs(model, x), [array(v) for v in model.variables]
    converted = kbp.convert(model)
    assert model.compiled
    assert not converted.compiled
    assert converted.name == model.name
    for v in converted.weights:
        v.assign(np.zeros(v.shape))
    assert identical(before, outputs(model, x))
    assert identical(weights, [array(v) for v in model.variables])


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def not_finite(value):
    model = plain()
    kernel = array(model.get_layer("wide").kernel)
    kernel[0, 0, 0, 0] = value
    model.get_layer("wide").kernel.assign(kernel)
    return model


def nothing_to_decompose():
    x = inputs = keras.Input((8, 8, 4))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(x)
    x = layers.Conv2DTranspose(4, 1, name="transposed")(x)
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Subclassed(), r"Functional or Sequential.*of type Subclassed.*keras.Model\("),
        (
            keras.Sequential([layers.Dense(2)]),
            r"built.*of type Sequential.*model.build",
        ),
        (None, r"`model` to be a built Functional.*model=None"),
        (
            nothing_to_decompose(),
            r"a layer that can be decomposed.*`depthwise` \(depthwise: .*`grouped` "
            r"\(grouped convolution \(2 groups\).*`transposed` \(transposed.*`head` "
            r"\(not chosen.*`include`.*include=keras.layers.Dense",
        ),
        (KINDS["frozen"]().layers[-1], r"of type Dense"),
        (kbp.convert(plain()), r"not to be converted yet.*first, wide, block.*`fold`"),
        (not_finite(np.nan), r"finite weights.*NaN or infinite.*`wide`"),
        (not_finite(-np.inf), r"finite weights.*NaN or infinite.*`wide`"),
    ],
)
def test_models_that_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        kbp.convert(model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"`rank` to be None.*rank=0.*rank=0.99"),
        ({"rank": -2}, r"`rank`.*rank=-2"),
        ({"rank": 1.5}, r"`rank`.*\(0, 1\].*rank=1.5"),
        ({"rank": 0.0}, r"`rank`.*rank=0.0"),
        ({"rank": float("nan")}, r"`rank`.*rank=nan"),
        ({"rank": True}, r"`rank`.*rank=True"),
        ({"rank": "full"}, r"`rank`.*rank='full'"),
        ({"basis": "outputs"}, r"`basis` to be 'weights'.*basis='outputs'"),
        ({"l1": -1.0}, r"`l1` to be a finite number >= 0.*l1=-1.0"),
        ({"l1": float("inf")}, r"`l1`.*l1=inf"),
        ({"l1": "small"}, r"`l1`.*l1='small'.*l1=1e-4"),
        ({"l1": None}, r"`l1`.*l1=None"),
        ({"include": "wid"}, r"`include` to match.*include='wid'.*'first'.*whole name"),
        ({"exclude": "nothing"}, r"`exclude` to match.*exclude='nothing'"),
        ({"exclude": re.compile("x")}, r"`exclude` to match.*re.compile\('x'\)"),
        ({"include": "conv("}, r"`include` to be the name.*'conv\('.*neither"),
        ({"include": 5}, r"`include` to hold names.*include=5 \(of type int\)"),
        ({"include": ["wide", None]}, r"`include` to hold.*None \(of type NoneType\)"),
        ({"include": []}, r"a layer that can be decomposed.*`first` \(not chosen"),
        ({"include": layers.BatchNormalization}, r"a layer that can be decomposed"),
        (
            {"exclude": layers.Conv2D},
            r"layer that can be decomposed.*`wide` \(not ch",
        ),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    model = randomize(plain())
    before, x = [array(v) for v in model.weights], sample(model)
    result = outputs(model, x)
    with pytest.raises(ValueError, match=message):
        kbp.convert(model, **arguments)
    assert identical(before, [array(v) for v in model.weights])
    assert identical(result, outputs(model, x))


def test_an_error_leaves_the_model_as_it_was():
    model = not_finite(np.nan)
    before = [array(v) for v in model.variables]
    tensors = [layer.output for layer in model.layers]
    with pytest.raises(ValueError, match="`wide`"):
        kbp.convert(model)
    assert identical(before, [array(v) for v in model.variables])
    assert all(a is x.output for a, x in zip(tensors, model.layers, strict=True))


def test_decomposed_halves_that_are_used_elsewhere_are_refused():
    converted = kbp.convert(randomize(separable()))
    features = converted.get_layer("b_basis").output
    model = keras.Model(converted.input, [features, converted.output])
    with pytest.raises(ValueError, match=r"`b_scaling` to be the only.*`b_basis`"):
        kbp.prune(model)
    with pytest.raises(ValueError, match=r"`b_scaling` to be the only reader"):
        kbp.fold(model)


def test_two_converted_models_in_one():
    a, b = keras.Input((9, 9, 3), name="a"), keras.Input((9, 9, 3), name="b")
    first, second = (kbp.convert(randomize(plain(), i), rank=3) for i in (1, 2))
    second.name = "second"
    model = keras.Model([a, b], first(a) + second(b))
    with pytest.raises(ValueError, match=r"one decomposed layer.*`first`.*flatten"):
        kbp.fold(model)
    flat, x = kbp.graph.flatten(model), sample(model)
    folded = kbp.fold(flat)
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= TOLERANCE
    assert len(pairs(flat)) == 6
