"""Criteria that read weights only: norms, geometric median, factors, random."""

import keras
import numpy as np
import pytest
from keras import layers
from models import KINDS, array, identical, randomize
from small_channels import kernel, of_groups, small

import keras_basisprune as kbp
from keras_basisprune.scores import channels

AGGREGATES = ["sum", "mean", "max"]


def l1(matrix):
    return np.abs(matrix).sum(axis=0)


def l2(matrix):
    return np.sqrt((matrix**2).sum(axis=0))


def distances(matrix):
    return np.array(
        [
            sum(np.linalg.norm(one - other) for other in matrix.T if one is not other)
            for one in matrix.T
        ]
    )


NORMS = {"l1_norm": l1, "l2_norm": l2, "fpgm": distances}


def one_conv(weights, name="conv"):
    """A convolution 1x1 of given weights, shape `(cin, cout)`, and a head."""
    inputs = keras.Input((4, 4, len(weights)))
    x = layers.Conv2D(len(weights[0]), 1, name=name)(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    model.get_layer(name).kernel.assign(np.array(weights, "float32")[None, None])
    return model


def of_layer(model, scores, name):
    return scores[kbp.graph.channel_groups(model).layers[name]]


def test_by_hand():
    model = one_conv([[3, 0, -1], [-4, 0, 1]])
    wanted = {
        "l1_norm": [7, 0, 2],
        "l2_norm": [5, 0, np.sqrt(2)],
        "fpgm": [
            5 + np.sqrt(41),
            5 + np.sqrt(2),
            np.sqrt(2) + np.sqrt(41),
        ],
    }
    for name, scores in wanted.items():
        found = getattr(kbp.scores.channels, name)(model)
        assert found.dtype == np.float64
        np.testing.assert_allclose(of_layer(model, found, "conv"), scores, rtol=1e-6)
        assert np.isinf(of_layer(model, found, "head")).all()


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("name", NORMS)
def test_tie_depthwise_and_concatenation_against_numpy(name, aggregate):
    model = small()
    groups = kbp.graph.channel_groups(model)
    members = {n: NORMS[name](kernel(model, n)) for n in ("a", "b", "c", "d")}
    wanted = of_groups(groups, members, aggregate)
    assert len(set(groups.layers["a"]) & set(groups.layers["d"])) == 3
    found = getattr(channels, name)(model, aggregate=aggregate)
    assert found.shape == (len(groups),)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    if aggregate == "sum":
        np.testing.assert_allclose(
            found[groups.layers["b"]], members["a"] + members["b"] + members["d"]
        )


@pytest.mark.parametrize("normalize", ["mean", "max"])
@pytest.mark.parametrize("name", NORMS)
def test_each_layer_is_normalized_before_it_counts(name, normalize):
    model = small()
    members = {n: NORMS[name](kernel(model, n)) for n in ("a", "b", "c", "d")}
    members = {n: s / getattr(np, normalize)(s) for n, s in members.items()}
    wanted = of_groups(kbp.graph.channel_groups(model), members, "mean")
    found = getattr(channels, name)(model, aggregate="mean", normalize=normalize)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("normalize", ["mean", "max"])
def test_a_layer_of_zeros_scores_zero(normalize):
    model = one_conv(np.zeros((2, 3)))
    for name in NORMS:
        found = getattr(channels, name)(model, normalize=normalize)
        np.testing.assert_array_equal(of_layer(model, found, "conv"), np.zeros(3))


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("normalize", [None, "max"])
def test_bn_scale_against_numpy(aggregate, normalize):
    model = small()
    model.get_layer("a_bn").gamma.assign([-2.0, 0.5, 1.0])
    gammas = {n: np.abs(array(model.get_layer(n).gamma)) for n in ("a_bn", "d_bn")}
    if normalize:
        gammas = {n: gamma / gamma.max() for n, gamma in gammas.items()}
    groups = kbp.graph.channel_groups(model)
    found = channels.bn_scale(model, aggregate=aggregate, normalize=normalize)
    np.testing.assert_allclose(found, of_groups(groups, gammas, aggregate), rtol=1e-6)
    assert np.isinf(found[groups.layers["c"]]).all()  # no factor judges them
    assert np.isfinite(found[groups.layers["a"]]).all()


def test_bn_scale_without_factors_has_no_say():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.BatchNormalization(scale=False)(layers.Conv2D(3, 1)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    assert np.isinf(channels.bn_scale(model)).all()


def test_random_is_seeded_and_keeps_pinned_groups():
    model = small()
    groups = kbp.graph.channel_groups(model)
    found = channels.random(model, seed=4)
    np.testing.assert_array_equal(found, channels.random(model, seed=4))
    assert (found != channels.random(model, seed=5)).any()
    assert np.isinf(found[list(groups.pinned)]).all()
    free = np.delete(found, list(groups.pinned))
    assert ((0 <= free) & (free < 1)).all()
    assert len(np.unique(free)) == 7


def kinds_of_layers():
    """One of each kind with filters, each apart from the others."""
    inputs = keras.Input((6, 6, 4))
    ids = keras.Input((3,), dtype="int32")
    kinds = {
        "grouped": layers.Conv2D(6, 3, groups=2),
        "transposed": layers.Conv2DTranspose(5, 2),
        "separable": layers.SeparableConv2D(3, 2, depth_multiplier=2),
    }
    outputs = []
    for name, layer in kinds.items():
        x = layers.GlobalAveragePooling2D()(layer(inputs))
        outputs.append(layers.Dense(2, name=f"{name}_head")(x))
        kinds[name] = layer.name
    table = layers.Embedding(7, 3, name="table")
    outputs.append(layers.Dense(2)(layers.Flatten()(table(ids))))
    return randomize(keras.Model([inputs, ids], outputs)), {**kinds, "table": "table"}


def test_every_kind_of_filter():
    model, names = kinds_of_layers()
    weights = {
        "grouped": array(model.get_layer(names["grouped"]).kernel).reshape(-1, 6),
        "transposed": np.moveaxis(
            array(model.get_layer(names["transposed"]).kernel), 2, -1
        ).reshape(-1, 5),
        "separable": array(
            model.get_layer(names["separable"]).pointwise_kernel
        ).reshape(-1, 3),
        "table": array(model.get_layer("table").embeddings),
    }
    groups = kbp.graph.channel_groups(model)
    for criterion, score in NORMS.items():
        members = {names[n]: score(w.astype(np.float64)) for n, w in weights.items()}
        found = getattr(channels, criterion)(model)
        np.testing.assert_allclose(found, of_groups(groups, members), rtol=1e-6)
        assert np.isfinite(found[groups.layers["table"]]).all()


def test_layers_with_kernels_inside():
    inputs = keras.Input((5, 4, 4, 2))
    x = layers.TimeDistributed(layers.Conv2D(3, 1), name="timed")(inputs)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
    x = layers.EinsumDense("abc,cd->abd", (None, 4), name="einsum")(x)
    x = layers.MultiHeadAttention(2, 3, output_shape=5, name="attention")(x, x)
    x = layers.GlobalAveragePooling1D()(x)
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    found, layer = channels.l2_norm(model), model.get_layer
    kernels = {
        "timed": layer("timed").layer.kernel,
        "einsum": layer("einsum").kernel,
        "attention": layer("attention").output_dense.kernel,
    }
    for name, weights in kernels.items():
        matrix = array(weights).reshape(-1, weights.shape[-1])
        np.testing.assert_allclose(of_layer(model, found, name), l2(matrix), rtol=1e-6)


def test_transposed_kernels_by_hand():
    x = inputs = keras.Input((2, 2))
    x = layers.Conv1DTranspose(3, 1, name="up", use_bias=False)(x)
    model = keras.Model(inputs, layers.Conv1D(1, 1)(x))
    up = np.array([[1, 2], [0, -3], [5, 0]], "float32")  # (cout, cin)
    model.get_layer("up").kernel.assign(up[None])
    found = channels.l1_norm(model)
    np.testing.assert_allclose(of_layer(model, found, "up"), [3, 3, 5])


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_tied_channels_of_one_layer_count_each(aggregate):
    """A depth multiplier makes two filters for each channel."""
    x = inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(3, 1, name="conv")(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(x)
    model = randomize(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))))
    groups = kbp.graph.channel_groups(model)
    members = {n: l2(kernel(model, n)) for n in ("conv", "depthwise")}
    assert len(members["depthwise"]) == 6
    found = channels.l2_norm(model, aggregate=aggregate)
    np.testing.assert_allclose(found, of_groups(groups, members, aggregate), rtol=1e-6)
    one = [members["conv"][1], *members["depthwise"][2:4]]
    wanted = {"sum": sum(one), "mean": np.mean(one), "max": max(one)}[aggregate]
    np.testing.assert_allclose(found[groups.layers["conv"][1]], wanted, rtol=1e-6)


def test_a_layer_called_twice_counts_once():
    inputs = keras.Input((5, 5, 3))
    conv = layers.Conv2D(3, 1, name="conv")
    first = layers.Conv2D(3, 1, name="first")(inputs)
    x = layers.GlobalMaxPooling2D()(conv(conv(first)))
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    found = channels.l1_norm(model)
    wanted = l1(kernel(model, "conv")) + l1(kernel(model, "first"))
    np.testing.assert_allclose(of_layer(model, found, "conv"), wanted, rtol=1e-6)


@pytest.mark.parametrize("criterion", NORMS)
def test_a_converted_model_scores_as_the_original(criterion):
    model = small()
    original = getattr(channels, criterion)(model)
    converted = kbp.convert(model)
    found = getattr(channels, criterion)(converted)
    groups, old = kbp.graph.channel_groups(converted), kbp.graph.channel_groups(model)
    for name in ("a", "c"):
        np.testing.assert_allclose(
            found[groups.layers[f"{name}_scaling"]],
            original[old.layers[name]],
            rtol=1e-5,
        )
    bases = groups.layers["a_basis"]
    assert np.isinf(found[bases]).all()  # they leave by `Plan.bases`


def test_masked_bases_do_not_count():
    converted = kbp.convert(one_conv([[3, 0], [0, 2]]))
    converted.get_layer("conv_scaling").mask.assign([1, 0])
    converted.get_layer("conv_scaling").scale.assign([2, 1])
    for criterion in (channels.l1_norm, channels.l2_norm):
        found = of_layer(converted, criterion(converted), "conv_scaling")
        np.testing.assert_allclose(found, [6, 0], atol=1e-6)


@pytest.mark.parametrize("kind", ["nested", "shared", "channels_first", "wrappers"])
def test_models_of_many_kinds(kind):
    model = randomize(KINDS[kind]())
    if kind == "nested":
        model = kbp.graph.flatten(model)
    groups, before = kbp.graph.channel_groups(model), model.get_weights()
    for criterion in ("l1_norm", "l2_norm", "fpgm", "bn_scale", "random"):
        found = getattr(channels, criterion)(model)
        assert found.shape == (len(groups),)
        assert np.isinf(found[list(groups.pinned)]).all()
        assert not np.isnan(found).any()
    assert identical(model.get_weights(), before)


def test_a_nested_model():
    inner = one_conv([[1, 2], [3, 4], [5, 6]], "inner_conv")
    inner = keras.Model(inner.input, inner.get_layer("inner_conv").output, name="in")
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="last")(inner(inputs)))
    found = of_layer(model, channels.l1_norm(model), "inner_conv")
    np.testing.assert_allclose(found, [9, 12])


@pytest.mark.parametrize("criterion", ["l1_norm", "l2_norm", "fpgm", "bn_scale"])
def test_refuses_unknown_arguments(criterion):
    model = one_conv([[1, 2]])
    score = getattr(channels, criterion)
    with pytest.raises(ValueError, match=r"`aggregate` to be 'sum', .*'median'"):
        score(model, aggregate="median")
    with pytest.raises(ValueError, match=r"`normalize` to be None, .*'l2'"):
        score(model, normalize="l2")
    with pytest.raises(ValueError, match="Expected `model` to be a built Functional"):
        score(keras.Sequential([layers.Dense(2)]))


@pytest.mark.parametrize("seed", [-1, 0.5, None, True])
def test_random_refuses_bad_seeds(seed):
    with pytest.raises(ValueError, match="Expected `seed` to be an integer >= 0"):
        channels.random(one_conv([[1, 2]]), seed=seed)


def test_refuses_weights_that_are_not_finite():
    model = one_conv([[1, np.nan]])
    with pytest.raises(ValueError, match="finite weights.*in layer `conv`"):
        channels.l1_norm(model)
