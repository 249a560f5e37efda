"""What bases of data promise beyond the contract."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from models import array, conv_block, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.trace import trace

BASES = ("activations", "regression")


def convert(model, data, basis="activations", **arguments):
    return kbp.convert(model, basis=basis, data=data, verbose=0, **arguments)


def residual():
    """Two residual blocks, one with BatchNormalization at the end of its branch."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="stem")(x)
    branch = layers.Conv2D(12, 3, padding="same", name="narrow", activation="relu")(x)
    branch = layers.Conv2D(12, 1, name="wide")(branch)
    branch = layers.BatchNormalization(name="bn")(branch)
    x = layers.ReLU()(x + branch)
    branch = layers.Conv2D(12, 3, padding="same", name="last")(x)
    x = layers.Add(name="sum")([x, layers.Dropout(0.5)(branch)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return randomize(keras.Model(inputs, layers.Dense(5, activation="softmax")(x)))


def stack(activation="relu"):
    x = inputs = keras.Input((8, 8, 3))
    for number in range(5):
        x = layers.Conv2D(
            16, 3, padding="same", activation=activation, name=f"conv{number}"
        )(x)
    return randomize(keras.Model(inputs, x))


def inner(model, name):
    """The outputs of one layer, as a model."""
    return keras.Model(model.input, model.get_layer(name).output)


def flat(values):
    return np.asarray(values, np.float64).reshape(-1, values.shape[-1])


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
    exact = convert(model, data, basis, rank=3, include=kind)
    assert relative_difference(before, outputs(exact, data)) <= 1e-5
    less = convert(model, data, basis, rank=2, include=kind)
    assert relative_difference(before, outputs(less, data)) > 1e-2
    by_weights = kbp.convert(model, rank=3, include=kind)
    assert relative_difference(before, outputs(by_weights, data)) > 1e-2


@pytest.mark.parametrize("basis", BASES)
def test_the_mean_of_every_output_is_kept(basis):
    model, data = stack("linear"), sample(stack(), batch=40)
    converted = convert(model, data, basis)
    rng = np.random.default_rng(0)
    for pair in basis_pairs(trace(converted)).values():
        pair.scaling.mask.assign(rng.permutation(pair.rank) < pair.rank // 3)
        pair.scaling.scale.assign(rng.uniform(0.5, 1.5, pair.rank))
    first = inner(converted, "conv0_scaling")  # its inputs are what they were
    means = [flat(array(m(data))).mean(axis=0) for m in (inner(model, "conv0"), first)]
    np.testing.assert_allclose(means[1], means[0], atol=1e-6)


def test_the_mean_is_kept_through_layers_fitted_at_low_rank():
    model, data = stack(), sample(stack(), batch=40)
    converted = convert(model, data, "regression", rank=4)
    for number in range(5):
        old, new = (
            flat(array(linear(m, f"conv{number}{end}")(data)))
            for m, end in ((model, ""), (converted, "_scaling"))
        )
        np.testing.assert_allclose(new.mean(axis=0), old.mean(axis=0), atol=2e-5)


def linear(model, name):
    """The outputs of one layer before its activation."""
    layer = model.get_layer(name)
    copy = type(layer).from_config({**layer.get_config(), "activation": None})
    result = keras.Model(model.input, copy(layer.input))
    copy.set_weights(layer.get_weights())
    return result


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
    made = [outputs(convert(model, form, basis, rank=6), x) for form in forms]
    for other in made[1:]:
        assert relative_difference(made[0], other) <= 2e-5


def test_regression_is_ridge_regression_of_reduced_rank():
    inputs = keras.Input((12,))
    first = layers.Dense(10, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(9, name="second")(first))
    randomize(model)
    x = np.random.default_rng(2).normal(size=(500, 12)).astype("float32")
    made = convert(model, x, "regression", rank=4, include=layers.Dense)
    hidden = np.asarray(inner(made, "first_scaling")(x), np.float64)
    target = np.asarray(model(x), np.float64)
    kernel, bias = (np.asarray(w, np.float64) for w in model.layers[-1].get_weights())
    centred, lack = hidden - hidden.mean(0), target - (hidden @ kernel + bias)
    gram = centred.T @ centred / 500
    ridge = 0.01 * np.trace(gram) / 10 * np.eye(10)
    fitted = kernel + np.linalg.solve(gram + ridge, centred.T @ lack / 500)
    _, axes = np.linalg.eigh(fitted.T @ gram @ fitted)
    project = axes[:, -4:] @ axes[:, -4:].T
    expected = target.mean(0) + centred @ fitted @ project
    np.testing.assert_allclose(np.asarray(made(x)), expected, atol=1e-5)


@pytest.mark.parametrize("build", [stack, residual])
def test_the_regression_loses_least(build):
    model = build()
    data, fresh = sample(model, batch=300), sample(model, seed=9, batch=100)
    before = flat(outputs(model, fresh)[0])
    lost = {}
    for basis in ("weights", *BASES):
        images = {} if basis == "weights" else {"data": data}
        made = kbp.convert(model, rank=6, basis=basis, verbose=0, **images)
        lost[basis] = np.mean((flat(outputs(made, fresh)[0]) - before) ** 2)
    assert lost["regression"] < 0.9 * lost["activations"]
    assert lost["activations"] < lost["weights"]


def test_a_branch_makes_up_for_what_the_shortcut_lacks():
    model = residual()
    data = sample(model, batch=300)
    rank = kbp.Plan(bases={"narrow": kbp.Kept((0,), 12), "stem": kbp.Kept((0, 1), 12)})
    made = convert(model, data, "regression", rank=rank)
    before = flat(array(inner(model, "sum")(data)))
    after = flat(array(inner(made, "sum")(data)))
    np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-4)
    # Left as it is, the branch would add its own error to that of the shortcut.
    alone = convert(model, data, "regression", rank=rank, exclude="last")
    alone = flat(array(inner(alone, "sum")(data)))
    errors = [np.mean((x - before) ** 2) for x in (after, alone)]
    assert errors[0] < 0.8 * errors[1]


def test_large_kernels_are_corrected_in_their_outputs(monkeypatch):
    from keras_basisprune.methods import _regression_bases

    model = stack()
    data, fresh = sample(model, batch=200), sample(model, seed=9, batch=100)
    monkeypatch.setattr(_regression_bases, "LARGEST", 50)  # all but the first layer
    full = convert(model, data, "regression")
    before = outputs(model, fresh)
    assert relative_difference(before, outputs(full, fresh)) <= 1e-5
    small = outputs(convert(model, data, "regression", rank=6), fresh)
    at_once = outputs(convert(model, data, rank=6), fresh)
    errors = [np.mean((x[0] - before[0]) ** 2) for x in (small, at_once)]
    assert errors[0] < 0.95 * errors[1]


def test_a_plan_gives_ranks_by_name():
    model = stack()
    plan = kbp.Plan(bases={"conv1": kbp.Kept((0, 3, 4), 16)})
    for basis in BASES:
        made = convert(model, sample(model, batch=10), basis, rank=plan)
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
        convert(model, data, basis, rank=2)
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert all(map(np.array_equal, before, outputs(model, data)))


def test_fold_takes_the_cheaper_form():
    x = inputs = keras.Input((8, 8, 3))
    x = conv_block(conv_block(x, 8, "a"), 8, "b")
    model = randomize(keras.Model(inputs, x))
    data = sample(model, batch=50)
    made = convert(model, data, "regression", rank=7)
    plain = kbp.fold(made)
    kinds = [type(layer).__name__ for layer in plain.layers]
    # 7 (27 + 8) weights are more than 27 x 8, and 7 (72 + 8) are less than 72 x 8.
    assert kinds == ["InputLayer", "Conv2D", "ReLU", "Conv2D", "Conv2D", "ReLU"]
    assert relative_difference(outputs(made, data), outputs(plain, data)) <= 1e-5


def test_a_branch_that_is_a_result_itself_is_not_bent():
    inputs = keras.Input((8, 8, 3))
    arguments = {"filters": 8, "kernel_size": 3, "padding": "same"}
    result = layers.Conv2D(**arguments, name="conv")(inputs)
    total = layers.Conv2D(**arguments, name="side")(inputs) + result
    model = randomize(keras.Model(inputs, [total, result]))
    data = sample(model, batch=100)
    plan = kbp.Plan(bases={"side": kbp.Kept((0, 1), 8)})
    made = convert(model, data, "regression", rank=plan)
    assert relative_difference(outputs(model, data)[1], outputs(made, data)[1]) <= 1e-5


def test_names_of_the_model_are_not_in_the_way(tmp_path):
    x = inputs = keras.Input((12, 12, 3), name="position_jitter")
    x = layers.Conv2D(8, 3, padding="same", name="conv")(x)
    randomize(keras.Model(inputs, x)).save(tmp_path / "model.keras")
    keras.utils.clear_session()  # automatic names start again from input_layer
    model = keras.models.load_model(tmp_path / "model.keras")
    data = sample(model, batch=10)
    made = convert(model, data)
    assert relative_difference(outputs(model, data), outputs(made, data)) <= 1e-5
