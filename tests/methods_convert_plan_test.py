"""convert(model, plan): the plan is obeyed as `prune` obeys it, or refused."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, conv_block, nested, outputs, randomize, sample
from stacks import residual, stack

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace

Kept, Plan = kbp.plans.Kept, kbp.Plan


def pairs(model):
    return basis_pairs(trace(model))


def separable():
    x = inputs = keras.Input((8, 8, 4))
    x = layers.SeparableConv2D(6, 3, activation="relu", name="a")(x)
    x = layers.Conv2D(5, 3, activation="tanh", name="b")(x)
    x = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(x))
    return randomize(keras.Model(inputs, x))


MODELS = {
    "separable": (separable, {"a": Kept((1, 3), 4), "b": Kept((0, 2, 4), 5)}),
    "stack": (stack, {"conv1": Kept((3, 5), 16), "conv3": Kept((15,), 16)}),
    "nested": (
        lambda: randomize(nested()),
        {"stem_conv": Kept((1, 3), 4), "inner_conv": Kept((0, 2), 4)},
    ),
}


@pytest.mark.parametrize("basis", ["weights", "activations"])
@pytest.mark.parametrize("name", MODELS)
def test_indices_are_obeyed_as_prune_obeys_them(name, basis):
    make, bases = MODELS[name]
    model, plan = make(), Plan(bases=bases)
    x = sample(model, batch=20)
    given = {"basis": basis, "verbose": 0, "data": None if basis == "weights" else x}
    whole = kbp.convert(model, **given)
    made, pruned = kbp.convert(model, plan, **given), kbp.prune(whole, plan)
    before, after, cut = pairs(whole), pairs(made), pairs(pruned)
    assert list(after) == list(before) and bases.keys() <= before.keys()
    for layer, pair in after.items():
        kept = list(bases[layer].indices) if layer in bases else slice(None)
        # What is stored is what the full-rank model stores at these places.
        for weight, axis in (("basis", -1), ("scaling", 0)):
            stored = np.moveaxis(array(getattr(before[layer], weight).kernel), axis, 0)
            mine = np.moveaxis(array(getattr(pair, weight).kernel), axis, 0)
            np.testing.assert_allclose(mine, stored[kept], rtol=1e-5, atol=1e-7)
        energy = cut[layer].scaling.energy
        assert pair.scaling.energy == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(outputs(made, x)[0], outputs(pruned, x)[0], atol=1e-5)


def test_leading_bases_are_what_a_number_gives():
    model = separable()
    plan = Plan(bases={"a": Kept((0, 1), 4), "b": Kept((0, 1), 5)})
    x = sample(model, batch=30)
    for basis in ("weights", "activations", "regression"):
        data = None if basis == "weights" else x
        made = [
            kbp.convert(model, rank, basis=basis, data=data, verbose=0)
            for rank in (plan, 2)
        ]
        for one, other in zip(*(m.weights for m in made), strict=True):
            np.testing.assert_array_equal(array(one), array(other))


def test_a_regression_takes_leading_bases_only():
    model = residual()
    data = sample(model, batch=20)
    plan = Plan(bases={"narrow": Kept((3, 5), 12)})
    message = r"leading bases of each layer.*keeps 3, 5 of 12 in `narrow`.*`prune` the"
    with pytest.raises(ValueError, match=message):
        kbp.convert(model, plan, basis="regression", data=data, verbose=0)


REFUSED = {
    "unknown": ({"bases": {"c": Kept((0,), 5)}}, r"decomposed.*\['c'\].*\['a', 'b'\]"),
    "dense": ({"bases": {"head": Kept((0,), 3)}}, r"are decomposed.*\['head'\]"),
    "total": ({"bases": {"b": Kept((0,), 6)}}, r"counts 5 bases in `b`.*total=6"),
    "separable": ({"bases": {"a": Kept((0,), 6)}}, r"counts 4 bases in `a`.*total=6"),
    "channels": (
        {"channels": {"a": Kept((0,), 6)}, "bases": {"b": Kept((0,), 5)}},
        r"a Plan of bases.*channels of \['a'\].*`Plan\(bases=plan.bases\)`",
    ),
}


@pytest.mark.parametrize("basis", ["weights", "activations", "regression"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_read(name, basis):
    fields, message = REFUSED[name]

    def images():
        raise AssertionError("data was read")
        yield

    data = None if basis == "weights" else images()
    with pytest.raises(ValueError, match=f"(?s){message}"):
        kbp.convert(separable(), Plan(**fields), basis=basis, data=data, verbose=0)


def test_a_layer_that_is_left_out_is_refused():
    plan = Plan(bases={"a": Kept((0,), 4)})
    with pytest.raises(ValueError, match=r"\['a'\]; there are \['b'\].*`exclude`"):
        kbp.convert(separable(), plan, exclude="a")


def test_a_name_that_no_layer_gets_is_refused():
    plan = Plan(bases={"outer_stem_conv": Kept((0,), 4)})
    with pytest.raises(ValueError, match=r"are decomposed.*\['outer_stem_conv'\]"):
        kbp.convert(randomize(nested()), plan)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_what_select_bases_makes_can_always_be_fitted(dtype):
    """Singular values that are nearly the same change places when they are stored."""
    x = inputs = keras.Input((6, 6, 4), dtype=dtype)
    for name in "abc":
        x = layers.Conv2D(24, 3, padding="same", name=name, dtype=dtype)(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    for name in "bc":  # all singular values are 1, or as good as that
        matrix = np.linalg.qr(rng.normal(size=(216, 24)))[0]
        matrix *= 1 + 1e-7 * rng.normal(size=24)
        model.get_layer(name).kernel.assign(matrix.reshape(3, 3, 24, 24))
    for keep in (0.1, 0.3, 0.5):
        plan = kbp.select_bases(kbp.convert(model), keep=keep, cost="params")
        for kept in plan.bases.values():
            assert kept.indices == tuple(range(len(kept.indices)))
    data = sample(model, batch=20)
    made = kbp.convert(model, plan, basis="regression", data=data, verbose=0)
    found = {name: pair.rank for name, pair in pairs(made).items()}
    assert found == {name: len(kept.indices) for name, kept in plan.bases.items()}


def test_masked_bases_leave_by_plan_and_can_not_be_fitted():
    x = inputs = keras.Input((8, 8, 3))
    model = randomize(keras.Model(inputs, conv_block(x, 8, "conv")))
    whole = kbp.convert(model)
    mask = np.ones(8)
    mask[:3] = 0
    pairs(whole)["conv"].scaling.mask.assign(mask)
    plan = kbp.select_bases(whole, keep=0.5, cost="params")
    assert plan.bases["conv"].indices[0] == 3
    data = sample(model, batch=10)
    made, cut = kbp.convert(model, plan), kbp.prune(whole, plan)
    np.testing.assert_allclose(outputs(made, data)[0], outputs(cut, data)[0], atol=1e-5)
    with pytest.raises(ValueError, match="leading bases.*model which is not masked"):
        kbp.convert(model, plan, basis="regression", data=data, verbose=0)
