"""Holds that a user's rule, in one class, has a layer treated as those of Keras.

The code is that of `docs/rules.md`.
"""

import pathlib
import re
import warnings

import keras
import numpy as np
import pytest
from models import array, outputs, randomize, relative_difference

import keras_basisprune as kbp
from keras_basisprune.graph.rules import registry

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "rules.md"


@pytest.fixture(scope="module")
def page():
    """All names that the code of the page defines."""
    names = {}
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    yield names
    del registry._RULES[names["PartialConv2D"]], registry._RULES[names["WSConv2D"]]


def network(kind, **kwargs):
    """Two of a kind of layer, with BatchNormalization, and a head."""
    x = inputs = keras.Input((7, 6, 3))
    x = kind(8, name="first", **kwargs)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    x = kind(6, name="second", **kwargs)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, keras.layers.Dense(4, name="head")(x)))


@pytest.fixture(params=["PartialConv2D", "WSConv2D"])
def model(request, page):
    kind = page[request.param]
    if request.param == "PartialConv2D":
        return network(kind)
    return network(kind, kernel_size=3, padding="same", strides=2)


@pytest.fixture
def partial(page):
    return network(page["PartialConv2D"])


def images(count=12):
    return np.random.default_rng(5).normal(size=(count, 7, 6, 3)).astype("float32")


def kinds(model):
    return {type(layer).__name__ for layer in model.layers}


def effective_kernel(layer):
    """What the layer convolves with."""
    kernel = array(layer.kernel).astype(np.float64)
    if type(layer).__name__ == "WSConv2D":
        kernel = kernel - kernel.mean((0, 1, 2))
        kernel = kernel / np.sqrt(kernel.var((0, 1, 2)) + 1e-5)
    return kernel


def test_the_layer_is_partial_convolution(partial):
    layer, x = partial.get_layer("first"), images(2).astype(np.float64)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.empty((2, 7, 6, 8))
    for i in range(7):
        for j in range(6):
            inside = (2 + (0 < i < 6)) * (2 + (0 < j < 5))
            patch = padded[:, i : i + 3, j : j + 3]
            product = np.tensordot(patch, array(layer.kernel), 3)
            expected[:, i, j] = product * 9 / inside
    assert relative_difference(expected + array(layer.bias), array(layer(x))) < 1e-5


@pytest.mark.parametrize("basis", ["weights", "activations", "regression"])
def test_converted_it_computes_the_same(model, basis):
    data = None if basis == "weights" else images()
    converted = kbp.convert(model, basis=basis, data=data, verbose=0)
    names = [layer.name for layer in kbp.describe(converted).decomposed]
    assert names == ["first", "second"]
    x = images()
    assert relative_difference(outputs(model, x), outputs(converted, x)) < 1e-4
    folded = kbp.fold(converted)
    assert relative_difference(outputs(model, x), outputs(folded, x)) < 1e-4
    assert "BasisScalingConv" not in kinds(folded)
    assert "BatchNormalization" not in kinds(folded)


def test_a_low_rank_is_that_of_the_svd_and_folds_to_two_layers(model):
    converted = kbp.convert(model, rank=2)
    layer = model.get_layer("first")
    kernel = effective_kernel(layer).reshape(-1, 8)
    values = np.linalg.svd(kernel, compute_uv=False)
    pair = kbp.graph.basis_pairs(kbp.graph.trace.trace(converted))["first"]
    np.testing.assert_allclose(pair.singular_values, values[:2], rtol=1e-4)
    folded, x = kbp.fold(converted), images()
    assert relative_difference(outputs(converted, x), outputs(folded, x)) < 1e-5
    assert folded.get_layer("first_basis").filters == 2
    assert type(folded.get_layer("first")) is keras.layers.Conv2D
    ours = type(layer).__name__ == "PartialConv2D"
    kind = type(layer) if ours else keras.layers.Conv2D
    assert type(folded.get_layer("first_basis")) is kind


def test_folded_it_computes_the_same(model):
    folded, x = kbp.fold(model), images()
    assert "BatchNormalization" not in kinds(folded)
    assert "WSConv2D" not in kinds(folded)
    assert relative_difference(outputs(model, x), outputs(folded, x)) < 1e-5


def test_pruned_it_computes_what_is_left(partial):
    plan = kbp.Plan(channels={"first": kbp.plans.Kept((1, 2, 5), 8)})
    small = kbp.prune(partial, plan)
    assert small.get_layer("first").kernel.shape == (3, 3, 3, 3)
    assert small.get_layer("second").kernel.shape == (3, 3, 3, 6)
    second = partial.get_layer("second")
    kernel = array(second.kernel)
    kernel[:, :, [0, 3, 4, 6, 7]] = 0
    second.kernel.assign(kernel)
    x = images()
    assert relative_difference(outputs(partial, x), outputs(small, x)) < 1e-5


def test_the_standardized_one_names_what_changes(page):
    model = network(page["WSConv2D"], kernel_size=3, padding="same")
    assert kbp.graph.channel_groups(model).mixing == ("first", "second")
    plan = kbp.Plan(channels={"first": kbp.plans.Kept((1, 2, 5), 8)})
    small = kbp.prune(model, plan)
    np.testing.assert_array_equal(
        array(small.get_layer("second").kernel),
        array(model.get_layer("second").kernel)[:, :, [1, 2, 5]],
    )
    # Folded before, it is a plain convolution, and nothing changes.
    folded = kbp.fold(model)
    assert kbp.graph.channel_groups(folded).mixing == ()


def test_it_is_counted(partial):
    cost = kbp.measure.cost(partial)
    assert cost.uncounted == ()
    flops = {layer.name: layer.flops for layer in cost.layers}
    assert flops["first"] == 2 * 7 * 6 * 9 * 3 * 8
    assert flops["second"] == 2 * 7 * 6 * 9 * 8 * 6
    assert flops["head"] == 2 * 6 * 4
    plan = kbp.Plan(channels={"first": kbp.plans.Kept((1, 2, 5), 8)})
    small = kbp.measure.cost(kbp.prune(partial, plan))
    assert small.flops == 2 * (7 * 6 * 9 * (3 * 3 + 3 * 6) + 6 * 4)


def test_a_budget_is_met_by_what_is_counted(partial):
    scores = kbp.scores.channels.l2_norm(partial)
    plan = kbp.select_channels(partial, scores=scores, keep=0.6, scope="global")
    share = (
        kbp.measure.cost(kbp.prune(partial, plan)).flops
        / kbp.measure.cost(partial).flops
    )
    assert 0.4 < share <= 0.6


def test_it_is_scored_by_every_criterion(model):
    groups = kbp.graph.channel_groups(model)
    at = groups.layers["first"]
    kernel = effective_kernel(model.get_layer("first")).reshape(-1, 8)
    distances = np.linalg.norm(kernel[:, :, None] - kernel[:, None], axis=0).sum(0)
    gamma = np.abs(array(model.get_layer("norm").gamma))
    channels = kbp.scores.channels
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = {
            "l1_norm": channels.l1_norm(model, aggregate="max")[at],
            "l2_norm": channels.l2_norm(model, aggregate="max")[at],
            "fpgm": channels.fpgm(model, aggregate="max")[at],
            "bn_scale": channels.bn_scale(model)[at],
        }
        compensated = channels.compensated(model, images())[at]
        active = channels.activation(model, images())[at]
    expected = {
        "l1_norm": np.abs(kernel).sum(0),
        "l2_norm": np.sqrt((kernel**2).sum(0)),
        "fpgm": distances,
        "bn_scale": gamma,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    assert np.isfinite(compensated).all() and (compensated > 0).all()
    after = keras.Model(model.inputs, model.get_layer("norm").output)
    values = np.maximum(outputs(after, images())[0], 0)
    np.testing.assert_allclose(active, values.mean((0, 1, 2)), rtol=1e-4)


def twins(model, one, other):
    """Makes two channels of the first layer the same."""
    for name in ("first", "norm"):
        for weight in model.get_layer(name).weights:
            value = array(weight)
            value[..., other] = value[..., one]
            weight.assign(value)


def test_what_is_the_same_is_made_up_for(partial):
    twins(partial, 2, 6)
    scores = kbp.scores.channels.compensated(partial, images(40), ridge=1e-6)
    at = kbp.graph.channel_groups(partial).layers["first"]
    assert min(scores[at][[2, 6]]) < 1e-4 < sorted(scores[at])[1]
    plan = kbp.Plan(channels={"first": kbp.plans.Kept((0, 1, 2, 3, 4, 5, 7), 8)})
    small = kbp.compensate(partial, plan, images(40), ridge=1e-6, verbose=0)
    x = images(5)
    assert relative_difference(outputs(partial, x), outputs(small, x)) < 1e-3
    plain = kbp.prune(partial, plan)
    assert relative_difference(outputs(partial, x), outputs(plain, x)) > 1e-2


def test_compensation_leaves_what_has_no_weights_for_a_matrix(page):
    model = network(page["WSConv2D"], kernel_size=3, padding="same")
    plan = kbp.Plan(channels={"first": kbp.plans.Kept((1, 2, 5), 8)})
    small = kbp.compensate(model, plan, images(), verbose=0)
    pruned = kbp.prune(model, plan)
    for name in ("first", "second"):
        kernels = [array(m.get_layer(name).kernel) for m in (small, pruned)]
        np.testing.assert_array_equal(*kernels)
    heads = [array(m.get_layer("head").kernel) for m in (small, pruned)]
    assert np.abs(heads[0] - heads[1]).max() > 1e-4


def test_inside_of_time_distributed(page, partial):
    """The same facts hold for each time step."""
    inner = page["PartialConv2D"](8, name="inner")
    x = inputs = keras.Input((4, 7, 6, 3))
    x = keras.layers.TimeDistributed(inner, name="timed")(x)
    x = keras.layers.ReLU()(x)
    model = randomize(keras.Model(inputs, keras.layers.Dense(2)(x)))
    flops = {layer.name: layer.flops for layer in kbp.measure.cost(model).layers}
    assert flops["timed"] == 4 * 2 * 7 * 6 * 9 * 3 * 8
    at = kbp.graph.channel_groups(model).layers["timed"]
    expected = np.abs(array(inner.kernel)).sum((0, 1, 2))
    found = kbp.scores.channels.l1_norm(model)[at]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_by_default_nothing_is_known(page):
    """Only channels pass: the rest is named, and left alone."""

    class Bare(page["PartialConv2D"]):
        pass

    whole = page["PartialConv2DRule"]
    members = {name: getattr(whole, name) for name in ("propagate", "cut")}
    kbp.graph.channel_rule(Bare)(type("BareRule", (kbp.graph.Rule,), members))
    try:
        model = network(Bare)
        assert kbp.graph.channel_groups(model).prunable("first").all()
        assert kbp.measure.cost(model).uncounted == ("first", "second")
        with pytest.warns(UserWarning, match="`l1_norm` can score"):
            assert np.isinf(kbp.scores.channels.l1_norm(model)).all()
        assert "BatchNormalization" in kinds(kbp.fold(model))
        with pytest.raises(ValueError, match=r"`first` \(Bare is not a convolution"):
            kbp.convert(model)
    finally:
        del registry._RULES[Bare]
