"""The whole job on real digits: budget met, budget missed, wrong arguments."""

import json

import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.search.drawn_samples import drawn_samples


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits)


@pytest.fixture(scope="module")
def untrained(model, digits):
    """What `compress` makes without training, of bases and channels."""
    return kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.03,
        test=digits.test,
        verbose=0,
    )


def classes(result):
    return {type(layer).__module__.split(".")[0] for layer in result.model.layers}


def test_the_budget_is_met_without_training_or_change(model, digits, untrained):
    weights = model.get_weights()
    before = kbp.measure.accuracy(model, digits.validation)
    after = kbp.measure.accuracy(untrained.model, digits.validation)
    assert untrained.met_budget
    assert untrained.history == {}
    assert after >= before - 0.03
    assert untrained.report.extra["accuracy on validation"] == (before, after)
    on_test = tuple(
        kbp.measure.accuracy(m, digits.test) for m in (model, untrained.model)
    )
    assert untrained.report.extra["accuracy on test"] == on_test
    assert untrained.report.after == kbp.measure.cost(untrained.model)
    assert untrained.report.flops_ratio < 0.4
    assert classes(untrained) == {"keras"}
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_chosen_trial_is_the_smallest_that_is_good_enough(untrained):
    chosen = untrained.trials[untrained.details["chosen"]]
    good = [trial for trial in untrained.trials if trial.good_enough]
    assert chosen.kept == min(trial.kept for trial in good)
    assert chosen.kept == untrained.report.flops_ratio
    assert chosen.params == untrained.report.params_ratio
    assert chosen.score == untrained.report.extra["accuracy on validation"][1]
    assert len(untrained.trials) <= 11  # 7 sizes, 2 other methods, 2 fitted again
    splits = {trial.method: trial.to_channels for trial in untrained.trials}
    assert splits.pop("basis_regression") == 0
    assert splits.pop("compensated_channels") == 1
    assert splits["double_pruning"] in (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)


def test_the_plan_by_hand_makes_the_same_network(model, digits, untrained):
    images = digits.train[0]
    assert len(images) > 1000
    order = np.random.default_rng(0).permutation(len(images))
    images = images[np.sort(order[:1000])]
    chosen = untrained.trials[untrained.details["chosen"]]
    images = drawn_samples(images, chosen.samples, 0)
    (plan,) = untrained.plans
    again = model
    if plan.channels:
        only = kbp.Plan(channels=plan.channels)
        again = kbp.compensate(again, only, images, verbose=0)
    if plan.bases:
        only = kbp.Plan(bases=plan.bases)
        again = kbp.convert(again, only, basis="regression", data=images, verbose=0)
    found, expected = kbp.fold(again), untrained.model
    assert [layer.name for layer in found.layers] == [
        layer.name for layer in expected.layers
    ]
    for ours, theirs in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", ["basis", "channels"])
def test_one_method_alone(model, digits, method):
    result = kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.03,
        methods=[method],
        verbose=0,
    )
    assert result.met_budget
    (plan,) = result.plans
    assert bool(plan.bases) == (method == "basis")
    assert bool(plan.channels) == (method == "channels")
    assert 3 <= len(result.trials) <= 9  # 7 sizes, 2 fitted again


def test_recovery_of_all_weights_goes_further(model, digits, untrained):
    result = kbp.compress(
        model,
        digits.train[0],  # no labels
        digits.validation,
        max_drop=0.03,
        recover="all",
        epochs=3,
        config=kbp.SearchOptions(rounds=2),
        verbose=0,
    )
    least = kbp.measure.accuracy(model, digits.validation) - 0.03
    assert kbp.measure.accuracy(result.model, digits.validation) >= least
    # With a larger margin in each round, which of both is smaller depends on rounding.
    assert result.report.flops_ratio < 1.5 * untrained.report.flops_ratio
    trained = [trial for trial in result.trials if trial.trained]
    gains = [
        trial.score - other.score
        for trial in trained
        for other in result.trials
        if (other.round, other.method, other.kept)
        == (trial.round, trial.method, trial.kept)
    ]
    assert max(gains) > 0.02
    assert len(result.history["loss"]) == 3 * len(trained)
    assert result.history["round"] == sorted(result.history["round"])
    assert 1 <= len(result.plans) <= 2
    assert classes(result) == {"keras"}


def test_recovery_of_scales_by_labels(model, digits):
    result = kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.03,
        methods=["basis"],
        recover="scales",
        epochs=2,
        config=kbp.SearchOptions(rounds=1, distill=False),
        verbose=0,
    )
    least = kbp.measure.accuracy(model, digits.validation) - 0.03
    assert result.met_budget
    assert kbp.measure.accuracy(result.model, digits.validation) >= least
    assert set(result.history) >= {"loss", "accuracy"}
    assert classes(result) == {"keras"}


def scalars(folder):
    """Maps tags to lists of `(step, value)` that TensorBoard would show."""
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="`tensorboard` is not installed",
    )
    found = accumulators.EventAccumulator(
        str(folder), size_guidance={"tensors": 0, "histograms": 0}
    )
    found.Reload()
    make = pytest.importorskip("tensorflow").make_ndarray
    return {
        tag: [(e.step, float(make(e.tensor_proto))) for e in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
        if tag.startswith("epoch_")
    }


def test_tensorboard_sees_trials_and_epochs(model, digits, tmp_path):
    pytest.importorskip("tensorboard", reason="`tensorboard` is not installed")
    board = keras.callbacks.TensorBoard(str(tmp_path), write_graph=False)
    result = kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.05,
        methods=["channels"],
        recover="all",
        epochs=2,
        config=kbp.SearchOptions(rounds=1, samples=300),
        callbacks=[board],
        verbose=0,
    )
    trials = scalars(tmp_path / "search" / "train")
    for name in ("kept", "score", "round"):
        wanted = [float(getattr(trial, name)) for trial in result.trials]
        steps, values = zip(*trials[f"epoch_{name}"], strict=True)
        assert steps == tuple(range(len(wanted)))
        np.testing.assert_allclose(values, wanted, rtol=1e-6)
    epochs = scalars(tmp_path / "train")
    steps, values = zip(*epochs["epoch_loss"], strict=True)
    assert steps == tuple(range(len(result.history["loss"])))
    np.testing.assert_allclose(values, result.history["loss"], rtol=1e-6)


def test_without_any_label_the_original_is_the_measure(model, digits):
    images = digits.validation[0]
    result = kbp.compress(model, digits.train[0], images, max_drop=0.05, verbose=0)
    agree = np.mean(
        model.predict(images, verbose=0).argmax(-1)
        == result.model.predict(images, verbose=0).argmax(-1)
    )
    assert result.met_budget
    assert result.report.extra["agreement on validation"] == (1.0, agree)
    assert agree >= 0.95


@pytest.mark.parametrize("objective", ["params", "bytes"])
def test_other_objectives(model, digits, objective):
    result = kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.03,
        cost=objective,
        methods=["channels"],
        verbose=0,
    )
    before, after = {
        "params": (result.report.before.params, result.report.after.params),
        "bytes": result.report.extra["LiteRT float32 bytes"],
    }[objective]
    assert result.trials[result.details["chosen"]].kept == after / before < 0.7


def test_a_budget_that_cannot_be_met_returns_the_original(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(50, activation="softmax")(x))
    images = np.random.default_rng(0).normal(size=(400, 8, 8, 1)).astype("float32")
    data = (images, model.predict(images, verbose=0).argmax(-1))
    with pytest.warns(UserWarning, match="budget of max_drop=0.0 could not be met"):
        result = kbp.compress(
            model, data, data, max_drop=0.0, verbose=0, output_dir=tmp_path
        )
    assert not result.met_budget
    assert result.plans == ()
    assert not any(trial.good_enough for trial in result.trials)
    assert len(result.model.layers) < len(model.layers)
    for small in (result.model, keras.models.load_model(tmp_path / "small.keras")):
        np.testing.assert_allclose(
            small.predict(images, verbose=0),
            model.predict(images, verbose=0),
            atol=1e-6,
        )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x, y: (x[:, :4], y), "`train` to hold images of shape \\(8, 8, 1\\)"),
        (lambda x, y: (x, y[:-1]), "`train` to hold one integer label per image"),
        (lambda x, y: (x, y * 1.0), "dtype float64"),
        (lambda x, y: (x, y + 1), "labels in \\[0, 10\\).*from 1 to 10"),
    ],
)
def test_data_that_does_not_fit_is_refused_at_once(model, digits, change, text):
    with pytest.raises(ValueError, match=text):
        kbp.compress(model, change(*digits.train), digits.validation)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"methods": []}, r"`methods` to name 'basis', .*methods=\[\]"),
        ({"methods": ["heads"]}, r"`methods` to name 'basis', .*\['heads'\]"),
        ({"methods": "basis"}, "`methods` to name .*methods='basis'"),
        ({"recover": "most"}, "`recover` to be None, 'all' .*recover='most'"),
        ({"max_drop": 1.5}, r"`max_drop` to be a float in \[0, 1\).*max_drop=1.5"),
        ({"cost": "speed"}, "`cost` to be 'flops', .*cost='speed'"),
    ],
)
def test_arguments_that_are_refused(model, digits, tmp_path, arguments, text):
    folder = tmp_path / "out"
    with pytest.raises(ValueError, match=text):
        kbp.compress(
            model, digits.train, digits.validation, output_dir=folder, **arguments
        )
    assert not folder.exists()


def test_training_by_labels_needs_labels(model, digits):
    with pytest.raises(ValueError, match="`train` to be a pair"):
        kbp.compress(
            model,
            digits.train[0],
            digits.validation,
            recover="all",
            config=kbp.SearchOptions(distill=False),
        )


def test_files_say_what_the_result_says(model, digits, tmp_path):
    result = kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.03,
        methods=["channels"],
        output_dir=tmp_path,
        verbose=0,
    )
    small = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(
        small.predict(digits.test[0], verbose=0),
        result.model.predict(digits.test[0], verbose=0),
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == json.loads(json.dumps(result.details))
    rows = {x["label"]: (x["before"], x["after"]) for x in report["before_after"]}
    assert rows["parameters"] == (
        kbp.measure.cost(model).params,
        kbp.measure.cost(small).params,
    )
    assert rows["FLOPs"] == (
        kbp.measure.cost(model).flops,
        kbp.measure.cost(small).flops,
    )
    sizes = [
        (tmp_path / f"{name}_float32.tflite").stat().st_size
        for name in ("original", "small")
    ]
    assert list(rows["LiteRT float32 bytes"]) == sizes
    plans = json.loads((tmp_path / "plans.json").read_text())
    assert [kbp.Plan.from_json(json.dumps(p)) for p in plans] == list(result.plans)
    assert [row["step"] for row in report["equality"]] == [
        "converted",
        "pruned",
        "folded",
        "LiteRT float32",
    ]
    assert all(row["difference"] <= 1e-4 for row in report["equality"])
    page = (tmp_path / "report.html").read_text()
    assert f"{rows['parameters'][1]:,}" in page
