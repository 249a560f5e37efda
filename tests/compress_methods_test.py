"""`compress` by any row of the table, and by rows of one's own."""

import dataclasses

import digits_model
import keras
import numpy as np
import pytest
from channel_gain import CHANNEL_GAIN

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS
from keras_basisprune.scores.channels import l2_norm
from keras_basisprune.search.cutter import CutOptions, Cutter

SMALL = kbp.SearchOptions(samples=100)


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits, epochs=3)


def run(model, digits, methods, **changes):
    arguments = {"max_drop": 0.05, "epochs": 3, "config": SMALL, "verbose": 0}
    return kbp.compress(
        model, digits.train, digits.validation, methods=methods, **arguments | changes
    )


def counting(method, calls, stop_at=None):
    """The same method; what its training is called with is noted down."""

    def train(prepared, train, **options):
        calls.append({"train": train, **options})
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        method.train(prepared, train, **options)

    return dataclasses.replace(method, name="counted", alias="", train=train)


def same(one, other):
    assert one.plans == other.plans
    for ours, theirs in zip(
        one.model.get_weights(), other.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["basis_weights", "basis_activations", "slimming"])
def test_a_row_of_the_table(model, digits, name):
    weights = model.get_weights()
    result = run(model, digits, [name])
    method = METHODS[name]
    assert result.met_budget
    assert result.report.flops_ratio < 0.9
    assert {trial.method for trial in result.trials} == {name}
    assert all(np.isnan(trial.to_channels) for trial in result.trials)
    (plan,) = result.plans
    assert bool(plan.bases) == ("bases" in method.removes)
    assert bool(plan.channels) == ("channels" in method.removes)
    after = kbp.measure.accuracy(result.model, digits.validation)
    assert after >= kbp.measure.accuracy(model, digits.validation) - 0.05
    trained = [trial for trial in result.trials if "training" in trial.seconds]
    assert len(trained) == bool(method.train)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_row_by_hand_makes_the_same_network(model, digits):
    calls = []
    result = run(model, digits, [counting(METHODS["slimming"], calls)], seed=7)
    (given,) = calls
    assert (given["keep"], given["epochs"], given["seed"]) == (None, 3, 7)
    np.testing.assert_array_equal(given["train"][1], digits.train[1])
    method = METHODS["slimming"]
    prepared = method.prepare(model, l1=1e-4)
    method.train(prepared, digits.train, epochs=3, seed=7)
    small = kbp.fold(method.carry_out(prepared, result.plans[0]))
    for ours, theirs in zip(
        result.model.get_weights(), small.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_row_of_ones_own_whose_masks_are_the_answer(model, digits, tmp_path):
    calls = []
    method = counting(CHANNEL_GAIN, calls)
    result = run(model, digits, [method], output_dir=tmp_path)
    assert len(calls) == 1
    assert {trial.method for trial in result.trials} == {"counted"}
    assert result.details["arguments"]["methods"] == ["counted"]
    assert result.details["arguments"]["epochs"] == 3
    assert "<td>counted</td>" in (tmp_path / "report.html").read_text()
    assert len({trial.kept for trial in result.trials}) == 1  # whatever was asked for
    again = run(model, digits, [method], output_dir=tmp_path)
    assert len(calls) == 1
    assert repr(again.trials) == repr(result.trials)
    same(again, result)
    other = dataclasses.replace(method, plan=lambda *_, **__: None)
    with pytest.raises(ValueError, match="had another own methods"):
        run(model, digits, [other], output_dir=tmp_path)


def test_without_labels_it_is_trained_on_what_the_original_says(model, digits):
    images, given = digits.train[0], []
    kbp.compress(
        model,
        images,
        digits.validation,
        max_drop=0.05,
        methods=[counting(METHODS["slimming"], given)],
        epochs=1,
        config=SMALL,
        verbose=0,
    )
    said = model.predict(images, verbose=0).argmax(-1)
    np.testing.assert_array_equal(given[0]["train"][1], said)
    np.testing.assert_array_equal(given[0]["train"][0], images)


def test_training_for_each_share_goes_on_where_it_was_stopped(model, digits, tmp_path):
    whole, calls = [], []
    each = dataclasses.replace(METHODS["slimming"], train_each=True)
    undisturbed = run(model, digits, [counting(each, whole)], epochs=1)
    shares = [call["keep"] for call in whole]
    assert len(set(shares)) == len(shares) == len(undisturbed.trials)
    with pytest.raises(KeyboardInterrupt):
        run(model, digits, [counting(each, calls, 3)], epochs=1, output_dir=tmp_path)
    result = run(model, digits, [counting(each, calls)], epochs=1, output_dir=tmp_path)
    # The third training was stopped, and is the only one that is done once more.
    assert [call["keep"] for call in calls] == [*shares[:3], *shares[2:]]
    assert all("training" in trial.seconds for trial in result.trials)
    same(result, undisturbed)


def test_what_does_not_depend_on_the_share_is_made_once(model, digits):
    made = []

    def scores(prepared, *, data):
        made.append((prepared, data))
        return l2_norm(prepared)

    def plan(prepared, *, keep, data, cost, scores=None, limits=None):
        assert limits.round_to == 2
        return kbp.select_channels(
            prepared, keep=keep, scores=scores, cost=cost, limits=limits
        )

    method = kbp.methods.Method(
        name="norms",
        title="Norms",
        source="A test",
        needs=(),
        removes=("channels",),
        scores=scores,
        plan=plan,
    )
    result = run(
        model,
        digits,
        [method],
        config=kbp.SearchOptions(samples=50, round_to=2),
        max_drop=0.2,
    )
    assert result.met_budget
    assert len(made) == 1
    assert len(made[0][1]) == 50
    for kept in result.plans[0].channels.values():
        assert len(kept.indices) % 2 == 0


def test_a_row_that_can_not_work_on_a_model_says_so_at_once(digits, tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    plain = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    for methods in (["slimming"], ["slimming", "basis"]):
        with pytest.raises(ValueError, match="to have BatchNormalization with factors"):
            run(plain, digits, methods, output_dir=tmp_path / "out")
        assert not (tmp_path / "out").exists()
    logits = keras.Model(inputs, keras.layers.Dense(10)(x))
    with pytest.raises(ValueError, match="probabilities"):
        run(logits, digits, ["basis_weights"])


def test_a_later_network_that_a_method_can_not_work_on_is_not_cut_by_it(digits):
    """A search that has found something is not lost by that."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    plain = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    cutter = Cutter(plain, digits.train[0][:50], CutOptions())
    assert cutter.cut(0.5, METHODS["slimming"]) is None
    assert cutter.cut(0.5, METHODS["basis_activations"]) is not None


def test_methods_that_prepare_alike_share_it(model, digits):
    cutter = Cutter(model, digits.train[0][:50], CutOptions())
    row = METHODS["basis_activations"]
    other = dataclasses.replace(row, name="other", title="Other")
    assert cutter.prepared(0.5, row) is cutter.prepared(0.3, other)
    assert cutter.prepared(0.5, METHODS["basis_regression"]) is model
