"""What bases of data promise beyond the contract."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from models import array, outputs, randomize, relative_difference, sample
from stacks import convert, flat, inner, residual, stack

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace

BASES = ("activations", "regression")


def test_singular_values_are_the_deviations_along_the_principal_axes():
    model, data = stack("linear"), np.random.default_rng(0).normal(size=(40, 8, 8, 3))
    converted = convert(model, data)
    for name, pair in basis_pairs(trace(converted)).items():
        made = flat(array(inner(model, name)(data)))
        expected = np.sqrt(np.linalg.eigvalsh(np.cov(made.T, bias=True))[::-1])
        strong = pair.singular_values > 1e-3 * pair.singular_values[0]
        assert strong.sum() >= 8
        got = pair.singular_values[strong]
        np.testing.assert_allclose(got, expected[: len(pair.mask)][strong], rtol=1e-4)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("kind", [layers.Conv2D, layers.Dense])
def test_outputs_in_a_subspace_are_reproduced_at_its_dimension(kind, basis):
    inputs = keras.Input((6, 6, 8))
    arguments = {"kernel_size": 1} if kind is layers.Conv2D else {}
    layer = kind(10, name="layer", **arguments)
    model = randomize(keras.Model(inputs, layer(inputs)))
    rng = np.random.default_rng(1)
    data = rng.normal(size=(30, 6, 6, 3)) @ rng.normal(size=(3, 8)) + rng.normal(size=8)
    before = outputs(model, data)
    exact = convert(model, data, basis=basis, rank=3, include=kind)
    assert relative_difference(before, outputs(exact, data)) <= 1e-5
    less = convert(model, data, basis=basis, rank=2, include=kind)
    assert relative_difference(before, outputs(less, data)) > 1e-2
    by_weights = kbp.convert(model, rank=3, include=kind)
    assert relative_difference(before, outputs(by_weights, data)) > 1e-2


@pytest.mark.parametrize("basis", BASES)
def test_the_mean_of_every_output_is_kept(basis):
    model, data = stack("linear"), sample(stack(), batch=40)
    converted = convert(model, data, basis=basis)
    rng = np.random.default_rng(0)
    for pair in basis_pairs(trace(converted)).values():
        pair.scaling.mask.assign(rng.permutation(pair.rank) < pair.rank // 3)
        pair.scaling.scale.assign(rng.uniform(0.5, 1.5, pair.rank))
    first = inner(converted, "conv0_scaling")  # its inputs are what they were
    means = [flat(array(m(data))).mean(axis=0) for m in (inner(model, "conv0"), first)]
    np.testing.assert_allclose(means[1], means[0], atol=1e-6)


@pytest.mark.parametrize("basis", BASES)
def test_neither_batches_nor_order_matter(basis):
    model, data = stack(), sample(stack(), batch=150)  # three batches
    x = sample(model, seed=5)
    mixed = data[np.random.default_rng(0).permutation(len(data))]
    forms = [
        data,
        mixed,
        (data, np.zeros(len(data))),
        tf.data.Dataset.from_tensor_slices(data).batch(7),
        tf.data.Dataset.from_tensor_slices((data, np.zeros(150))).batch(40),
    ]
    made = [outputs(convert(model, form, basis=basis, rank=6), x) for form in forms]
    for other in made[1:]:
        assert relative_difference(made[0], other) <= 2e-5


class Counted(layers.Layer):
    """Counts how often it is compiled."""

    compiled = 0

    def call(self, inputs):
        if not isinstance(inputs, keras.KerasTensor):
            Counted.compiled += 1
        return inputs


def test_a_smaller_last_batch_compiles_nothing_anew():
    inputs = keras.Input((6, 6, 3))
    x = Counted()(layers.Conv2D(8, 3, name="conv")(inputs))
    model = randomize(keras.Model(inputs, layers.Conv2D(8, 1, name="last")(x)))
    counts = []
    trace(model)  # which is remembered
    for size in (64, 41):
        before = Counted.compiled
        converted = convert(model, sample(model, batch=size))
        counts.append(Counted.compiled - before)
    assert counts[0] == counts[1] > 0
    # As each sample counts once, all is as with one batch.
    data = sample(model, batch=41)
    pair = basis_pairs(trace(converted))["last"]
    made = flat(array(inner(model, "last")(data)))
    np.testing.assert_allclose(
        pair.singular_values[:4],
        np.sqrt(np.linalg.eigvalsh(np.cov(made.T, bias=True))[::-1])[:4],
        rtol=1e-5,
    )


def test_a_plan_gives_ranks_by_name():
    model = stack()
    plan = kbp.Plan(bases={"conv1": kbp.plans.Kept((0, 1, 2), 16)})
    for basis in BASES:
        made = convert(model, sample(model, batch=10), basis=basis, rank=plan)
        ranks = {name: p.rank for name, p in basis_pairs(trace(made)).items()}
        assert ranks == {"conv0": 16, "conv1": 3, "conv2": 16, "conv3": 16, "conv4": 16}


def test_data_decides_the_default():
    model = stack()
    data = sample(model, batch=10)
    centred = [
        {p.scaling.centered for p in basis_pairs(trace(made)).values()}
        for made in (kbp.convert(model), kbp.convert(model, data=data, verbose=0))
    ]
    assert centred == [{False}, {True}]


def test_energy_is_that_of_the_outputs():
    model, data = stack("linear"), sample(stack(), batch=40)
    made = convert(model, data, rank=0.9)
    for row in kbp.describe(made).decomposed:
        assert 0.9 <= row.energy < 1.0
    name = "conv2"
    variance = np.linalg.eigvalsh(np.cov(flat(array(inner(model, name)(data))).T))[::-1]
    rank = int(np.searchsorted(np.cumsum(variance) / variance.sum(), 0.9)) + 1
    assert basis_pairs(trace(made))[name].rank == rank


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"basis": "activations"}, "Expected `data` for the bases 'activations'"),
        ({"basis": "regression"}, "Expected `data` for the bases"),
        ({"basis": "weights", "data": np.zeros((2, 8, 8, 3))}, "none for 'weights'"),
        ({"basis": "svd"}, "'weights', 'activations' or 'regression'. Received: basi"),
        (
            {"data": np.zeros((2, 8, 8, 4))},
            "Expected `data` to hold arrays of the shap",
        ),
        ({"data": np.full((2, 8, 8, 3), np.nan)}, "`data` to hold finite numbers"),
        ({"data": np.zeros((0, 8, 8, 3))}, "`data` to hold at least one sample"),
        (
            {"rank": "many"},
            "a float in (0, 1] (the share of energy to keep), or a Plan",
        ),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(ValueError) as caught:
        kbp.convert(stack(), verbose=0, **arguments)
    assert text in str(caught.value)


def test_values_that_overflow_are_named():
    model = stack("exponential")
    with pytest.raises(ValueError, match="NaN or infinity in `conv"):
        convert(model, np.full((2, 8, 8, 3), 1e4))


def test_the_given_model_is_as_it_was():
    model = residual()
    data = sample(model, batch=10)
    weights, before = model.get_weights(), outputs(model, data)
    for basis in BASES:
        convert(model, data, basis=basis, rank=2)
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert all(map(np.array_equal, before, outputs(model, data)))


def test_names_of_the_model_are_not_in_the_way(tmp_path):
    x = inputs = keras.Input((12, 12, 3), name="position_jitter")
    x = layers.Conv2D(8, 3, padding="same", name="conv")(x)
    randomize(keras.Model(inputs, x)).save(tmp_path / "model.keras")
    keras.utils.clear_session()  # automatic names start again from input_layer
    model = keras.models.load_model(tmp_path / "model.keras")
    data = sample(model, batch=10)
    made = convert(model, data)
    assert relative_difference(outputs(model, data), outputs(made, data)) <= 1e-5
