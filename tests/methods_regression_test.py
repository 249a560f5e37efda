"""What the regression promises: fitted layer after layer, it loses least."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, conv_block, outputs, randomize, relative_difference, sample
from stacks import convert, flat, inner, linear, residual, stack

import keras_basisprune as kbp
from keras_basisprune.graph.sample_folds import sample_folds
from keras_basisprune.linalg import RidgeFolds

BASES = ("activations", "regression")


def test_the_mean_is_kept_through_layers_fitted_at_low_rank():
    model, data = stack(), sample(stack(), batch=40)
    converted = convert(model, data, basis="regression", rank=4)
    for number in range(5):
        old, new = (
            flat(array(linear(m, f"conv{number}{end}")(data)))
            for m, end in ((model, ""), (converted, "_scaling"))
        )
        np.testing.assert_allclose(new.mean(axis=0), old.mean(axis=0), atol=2e-5)


# Nine samples don't determine a kernel of ten inputs: outputs are corrected.
@pytest.mark.parametrize("count", [500, 9])
def test_regression_is_ridge_regression_of_reduced_rank(count):
    inputs = keras.Input((12,))
    first = layers.Dense(10, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(9, name="second")(first))
    randomize(model)
    x = np.random.default_rng(2).normal(size=(count, 12)).astype("float32")
    made = convert(model, x, basis="regression", rank=4, include=layers.Dense)
    hidden = np.asarray(inner(made, "first_scaling")(x), np.float64)
    target = np.asarray(model(x), np.float64)
    kernel, bias = (np.asarray(w, np.float64) for w in model.layers[-1].get_weights())
    lack = target - (hidden @ kernel + bias)
    if count < 10:
        hidden, kernel = hidden @ kernel, np.eye(9)
    centred, size = hidden - hidden.mean(0), len(kernel)
    gram = centred.T @ centred / count
    folds = RidgeFolds(size, 9, 5)
    folds.add(hidden, lack, sample_folds([[x]], 5)[0])
    ridge = folds.update()[2] * np.trace(gram) / size * np.eye(size)
    fitted = kernel + np.linalg.solve(gram + ridge, centred.T @ lack / count)
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
    rank = kbp.Plan(
        bases={"narrow": kbp.plans.Kept((0,), 12), "stem": kbp.plans.Kept((0, 1), 12)}
    )
    made = convert(model, data, basis="regression", rank=rank)
    before = flat(array(inner(model, "sum")(data)))
    after = flat(array(inner(made, "sum")(data)))
    np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-4)
    # Left as it is, the branch would add its own error to that of the shortcut.
    alone = convert(model, data, basis="regression", rank=rank, exclude="last")
    alone = flat(array(inner(alone, "sum")(data)))
    errors = [np.mean((x - before) ** 2) for x in (after, alone)]
    assert errors[0] < 0.8 * errors[1]


def test_large_kernels_are_corrected_in_their_outputs(monkeypatch):
    from keras_basisprune.methods import _fitted_call

    model = stack()
    data, fresh = sample(model, batch=200), sample(model, seed=9, batch=100)
    monkeypatch.setattr(_fitted_call, "LARGEST", 50)  # all but the first layer
    full = convert(model, data, basis="regression")
    before = outputs(model, fresh)
    assert relative_difference(before, outputs(full, fresh)) <= 1e-5
    small = outputs(convert(model, data, basis="regression", rank=6), fresh)
    at_once = outputs(convert(model, data, rank=6), fresh)
    errors = [np.mean((x[0] - before[0]) ** 2) for x in (small, at_once)]
    assert errors[0] < 0.95 * errors[1]


def test_fold_takes_the_cheaper_form():
    x = inputs = keras.Input((8, 8, 3))
    x = conv_block(conv_block(x, 8, "a"), 8, "b")
    model = randomize(keras.Model(inputs, x))
    data = sample(model, batch=50)
    made = convert(model, data, basis="regression", rank=7)
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
    plan = kbp.Plan(bases={"side": kbp.plans.Kept((0, 1), 8)})
    made = convert(model, data, basis="regression", rank=plan)
    assert relative_difference(outputs(model, data)[1], outputs(made, data)[1]) <= 1e-5
