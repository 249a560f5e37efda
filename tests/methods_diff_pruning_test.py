"""Diff pruning: gates against NumPy, what may differ, errors, and other methods."""

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import array, identical, outputs, relative_difference, sample
from task_networks import custom, made_delta, state, subclassed

import keras_basisprune as kbp
from keras_basisprune.methods import DiffOptions, diff_pruning, new_head
from keras_basisprune.methods.diff_pruning import hard_concrete
from keras_basisprune.methods.diff_pruning._overlays import (
    GatedDifference,
    group_shape,
)
from keras_basisprune.methods.diff_pruning._positions import (
    split_positions,
    strongest_positions,
)
from keras_basisprune.methods.diff_pruning._task_weights import task_weights

QUICK = DiffOptions(
    epochs=1,
    fixed_epochs=1,
    batch_size=8,
    selection="magnitude",
    batch_norm="statistics",
)


def task(count=16, classes=4):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, 6, 6, 3)).astype("float32")
    return x, np.arange(count) % classes


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_gates_equal_numpy():
    rng = np.random.default_rng(0)
    alpha, u = rng.normal(0, 3, 200), rng.random(200)
    u[:2] = 0.0, 1.0 - 1e-9
    clipped = np.clip(u, 1e-4, 1 - 1e-4)
    noisy = sigmoid(np.log(clipped) - np.log(1 - clipped) + alpha)
    wanted = np.clip(noisy * 3.0 - 1.5, 0, 1)
    found = array(hard_concrete.sampled_gates(alpha.astype("f4"), u.astype("f4")))
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert 0 < np.mean(found == 0) < 1 and 0 < np.mean(found == 1) < 1
    np.testing.assert_allclose(
        array(hard_concrete.expected_gates(alpha)),
        np.clip(sigmoid(alpha) * 3.0 - 1.5, 0, 1),
        atol=1e-6,
    )
    # log(-l / r) is 0 for a symmetric stretch.
    chance = array(hard_concrete.open_probability(alpha))
    np.testing.assert_allclose(chance, sigmoid(alpha), atol=1e-6)


def test_gates_are_open_as_often_as_their_probability_says():
    alpha, draws = np.array([-2.0, 0.0, 1.0]), 20_000
    u = np.random.default_rng(0).random((draws, 3)).astype("float32")
    gates = array(hard_concrete.sampled_gates(alpha.astype("f4"), u))
    np.testing.assert_allclose((gates > 0).mean(0), sigmoid(alpha), atol=0.012)


@pytest.mark.parametrize(
    ("shape", "structured", "wanted"),
    [
        ((3, 3, 4, 8), "channel", (1, 1, 1, 8)),
        ((3, 3, 8, 1), "channel", (1, 1, 8, 1)),
        ((8,), "channel", (1,)),
        ((5, 7), "channel", (1, 7)),
        ((5, 7), "tensor", (1, 1)),
        ((), "channel", ()),
    ],
)
def test_groups_of_gates(shape, structured, wanted):
    assert group_shape(shape, structured) == wanted


@pytest.mark.parametrize("structured", [None, "tensor", "channel"])
def test_the_penalty_is_the_expected_share_of_weights_that_differ(structured):
    rng = np.random.default_rng(1)
    variables = [keras.Variable(rng.normal(size=s)) for s in ((2, 3), (4,))]
    overlay = GatedDifference(variables, structured, 2.0, 5.0, 0)
    alpha = rng.normal(size=10)
    overlay.log_alpha.assign(alpha)
    chance = sigmoid(alpha)
    if structured is not None:
        group = rng.normal(size=4 if structured == "channel" else 2)
        overlay.group.assign(group)
        wide = [0, 1, 2] * 2 + [3] * 4 if structured == "channel" else [0] * 6 + [1] * 4
        chance = chance * sigmoid(group)[wide]
    origins = [v.value for v in variables]
    same = overlay(origins, training=False)
    assert overlay.losses == []
    for before, after in zip(origins, same, strict=True):
        np.testing.assert_array_equal(array(before), array(after))
    overlay(origins, training=True)
    (penalty,) = overlay.losses
    np.testing.assert_allclose(array(penalty), 2.0 * chance.mean(), rtol=1e-5)
    delta = rng.normal(size=10)
    overlay.delta.assign(delta)
    made, scores = overlay.found()
    gates = np.clip(sigmoid(alpha) * 3 - 1.5, 0, 1)
    if structured is not None:
        gates = gates * np.clip(sigmoid(group) * 3 - 1.5, 0, 1)[wide]
    np.testing.assert_allclose(made, gates * delta, atol=1e-5)
    open_ones = scores[made != 0]
    assert open_ones.min() > scores[made == 0].max()
    order = np.argsort(open_ones)
    assert (np.diff(np.abs(made[made != 0])[order]) >= 0).all()


def test_the_largest_scores_of_all_tensors_are_taken():
    scores = np.array([3.0, 1.0, 2.0, 2.0, 2.0, 9.0])
    assert strongest_positions(scores, 3).tolist() == [0, 2, 5]
    assert strongest_positions(scores, 0).tolist() == []
    assert strongest_positions(scores, 99).tolist() == [*range(6)]
    parts = split_positions(np.array([0, 2, 5]), np.array([2, 2, 6]))
    assert [part.tolist() for part in parts] == [[0], [], [0, 3]]


def test_nothing_but_the_share_and_the_head_changes():
    model = FAMILIES["depthwise"]()
    weights = task_weights(model)
    options = {"epochs": 1, "fixed_epochs": 1, "batch_norm": "frozen"}
    for structured, share in ((None, 0.05), ("channel", 0.2)):
        config = DiffOptions(**options, structured=structured)
        delta = diff_pruning(model, task(), share=share, config=config, verbose=0)
        assert delta.changed == int(share * delta.base_size)
        assert delta.whole == 0
        network = delta.apply(model)
        differ = sum(
            int((array(a) != array(b)).sum())
            for a, b in zip(weights.base, task_weights(network).base, strict=True)
        )
        assert differ <= delta.changed
    assert delta.base_size == sum(int(np.prod(v.shape)) for v in weights.base)
    assert [c.shape for c in delta.head] == [tuple(v.shape) for v in weights.head]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_head_alone_and_all_weights(share):
    model = subclassed()
    delta = diff_pruning(model, task(), share=share, config=QUICK, verbose=0)
    trained = [v for v in task_weights(model).base if "moving" not in v.path]
    assert delta.changed == share * sum(int(np.prod(v.shape)) for v in trained)
    assert delta.whole == 2 * model.width
    assert [c.path for c in delta.head] == [v.path for v in model.head.weights]


def test_a_failure_leaves_the_model_as_it_was():
    model = custom()
    before, flags = state(model), [v.trainable for v in model.variables]
    momenta = [getattr(layer, "momentum", None) for layer in model.layers]

    def broken(images):
        raise RuntimeError("no such image")

    config = DiffOptions(epochs=1, augment=broken)
    with pytest.raises(RuntimeError, match="no such image"):
        diff_pruning(model, task(), config=config, verbose=0)
    assert identical(before, state(model))
    assert [v.trainable for v in model.variables] == flags
    assert [getattr(layer, "momentum", None) for layer in model.layers] == momenta


def test_frozen_layers_and_named_heads():
    model = FAMILIES["residual"]()
    model.trainable = False
    config = DiffOptions(epochs=1, fixed_epochs=1, selection="magnitude")
    delta = diff_pruning(
        model, task(), share=0.5, head=["head", "second"], config=config, verbose=0
    )
    assert {c.path.split("/")[-2] for c in delta.head} == {"head", "second"}
    assert delta.changed > 0
    assert not any(v.trainable for v in model.variables)


def test_a_model_with_a_dict_of_inputs_and_another_loss():
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((3,), name="b")}
    x = keras.layers.Dense(4, name="first")(inputs["a"] + inputs["b"])
    model = keras.Model(inputs, keras.layers.Dense(1, name="head")(x))
    rng = np.random.default_rng(0)
    x = {key: rng.normal(size=(12, 3)).astype("float32") for key in "ab"}
    y = x["a"].sum(1, keepdims=True)
    delta = diff_pruning(
        model, (x, y), (x, y), share=0.5, loss="mse", config=QUICK, verbose=0
    )
    network = delta.apply(model)
    wanted = float(np.mean((network.predict(x, verbose=0) - y) ** 2))
    assert delta.metadata["logs"]["val_loss"] == pytest.approx(wanted, rel=1e-4)


def test_a_compressed_network_is_a_base_and_a_task_is_compressed():
    model = FAMILIES["residual"]()
    plan = kbp.select_channels(model, keep=0.6)
    small = kbp.fold(kbp.prune(model, plan))
    delta, wanted = made_delta(small)
    network = delta.apply(small)
    assert identical(state(network), wanted)
    assert network.count_params() == small.count_params() < model.count_params()
    # And the other way round: what is left of a network for a task.
    network = made_delta(model)[0].apply(model)
    plan = kbp.select_channels(network, keep=0.6)
    fitted = kbp.compensate(network, plan, sample(network, batch=40), verbose=0)
    assert kbp.measure.cost(fitted).params < kbp.measure.cost(network).params
    folded = kbp.fold(network)
    x = sample(network)
    assert relative_difference(outputs(network, x), outputs(folded, x)) <= 1e-5


def test_a_new_head_keeps_the_base():
    for model in (FAMILIES["nested"](), FAMILIES["sequential"]()):
        other = new_head(model, 7)
        assert other.output_shape == (None, 7)
        delta, _ = made_delta(model)
        network = delta.apply(other)  # the head comes with the delta
        assert network.output_shape == model.output_shape
        x = sample(model)
        assert identical(outputs(network, x), outputs(delta.apply(model), x))


MODEL = FAMILIES["residual"]
BAD = {
    "share": ({"share": 1.5}, r"`share` to be a float in \[0, 1\].*1.5"),
    "share, kind": ({"share": "a"}, "`share`.*'a'"),
    "head": ({"head": "nowhere"}, "`head` to name layers.*nowhere.*stem"),
    "head, none": ({"head": []}, "`head` to name layers"),
    "head, without weights": ({"head": "stem_relu"}, "`head`.*stem_relu"),
    "config": ({"config": {}}, "`config`"),
    "verbose": ({"verbose": 3}, "`verbose`"),
    "train": ({"train": None}, "`train` to be a pair"),
    "labels": ({"train": (task()[0], np.arange(16))}, "`train`.*labels from 0 to 15"),
    "validation": ({"validation": (task()[0][:3], task()[1])}, "`validation`"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    given, text = BAD[case]
    model = MODEL()
    before = state(model)
    given = {"train": task(), **given}
    with pytest.raises(ValueError, match=text):
        diff_pruning(model, given.pop("train"), given.pop("validation", None), **given)
    assert identical(before, state(model))


def test_models_that_are_no_classifiers_or_not_built():
    linear = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten()])
    linear.add(keras.layers.Dense(4))
    for model, text in (
        (linear, "probabilities that sum to 1"),
        (keras.Sequential([keras.layers.Dense(2)]), "`model` to be built"),
        ("a.keras", "`model`.*load_model"),
    ):
        with pytest.raises(ValueError, match=text):
            diff_pruning(model, task())


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"selection": "size"}, "selection"),
        ({"structured": "row"}, "structured"),
        ({"batch_norm": None}, "batch_norm"),
        ({"epochs": 0}, "epochs"),
        ({"fixed_epochs": 1.5}, "fixed_epochs"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"l0": -1.0}, "l0"),
        ({"clip": 0}, "clip"),
        ({"augment": 3}, "augment"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_check_themselves(given, name):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be"):
        DiffOptions(**given)
