"""The whole job on models and settings as people have them, and those it refuses."""

import json
import math

import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.report.loss_bound import loss_bound

layers = keras.layers
QUICK = kbp.SearchOptions(samples=200, rounds=1)


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits)


def run(model, digits, max_drop=0.03, train=None, validation=None, **changes):
    """A quick search; `train` defaults to labelled images."""
    arguments = {"methods": ["channels"], "config": QUICK, "verbose": 0, **changes}
    train = digits.train if train is None else train
    validation = digits.validation if validation is None else validation
    return kbp.compress(model, train, validation, max_drop=max_drop, **arguments)


def same_weights(one, other):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_augmentation_inside_the_model_changes_nothing(model, digits):
    inputs = keras.Input((8, 8, 1))
    augment = keras.Sequential([layers.RandomRotation(0.2), layers.RandomFlip()])
    augmenting = keras.Model(inputs, model(augment(inputs)))
    results = [run(one, digits, train=digits.train[0]) for one in (model, augmenting)]
    plain, other = results
    assert [t.kept for t in plain.trials] == [t.kept for t in other.trials]
    assert [t.score for t in plain.trials] == [t.score for t in other.trials]
    assert plain.report.flops_ratio < 0.5
    ours, theirs = (x.model.predict(digits.test[0], verbose=0) for x in results)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("weights", ["scales", "all"])
def test_training_that_spoils_a_network_is_not_what_is_returned(model, digits, weights):
    # So high a rate that nothing is left of what was learned.
    recovery = kbp.Recovery(weights=weights, epochs=1, learning_rate=1e3)
    result = run(model, digits, methods=["basis"], recover=recovery)
    trained = [trial for trial in result.trials if trial.trained]
    assert trained
    assert not any(trial.good_enough for trial in trained)
    chosen = result.trials[result.details["chosen"]]
    assert result.met_budget
    assert kbp.measure.accuracy(result.model, digits.validation) == chosen.score
    assert chosen.score >= kbp.measure.accuracy(model, digits.validation) - 0.03


def test_the_best_epoch_can_be_kept(model, digits):
    result = run(model, digits, recover=kbp.Recovery(keep_best=True), epochs=3)
    trained = [trial.score for trial in result.trials if trial.trained]
    assert len(result.history["val_accuracy"]) == 3 * len(trained)
    last = result.history["val_accuracy"][-3:]
    assert trained[-1] == pytest.approx(max(last), abs=1e-6)


def test_epochs_and_seed_of_the_call_go_into_a_recovery(model, digits):
    one = run(model, digits, recover="all", epochs=2, seed=3)
    other = run(model, digits, recover=kbp.Recovery(), epochs=2, seed=3)
    assert one.history == other.history
    same_weights(one.model, other.model)
    own = run(model, digits, recover=kbp.Recovery(epochs=1, seed=4), seed=3)
    assert len(own.history["loss"]) == sum(trial.trained for trial in own.trials)


def test_networks_are_fitted_on_the_images_of_training(model, digits):
    def half(images):  # what is left of no digit reaches the right half
        return images * (np.arange(8) < 4)[None, None, :, None]

    def fitted(augment):
        images = digits.train[0]
        changed = augment is not None
        return run(
            model,
            digits,
            0.2,
            train=images if changed else half(images),
            methods=["basis"],  # the same shares in all searches
            recover=kbp.Recovery(epochs=1, learning_rate=0.0, augment=augment),
            config=kbp.SearchOptions(
                samples=10**6, trial_samples=None, rounds=1, augment=changed
            ),
        )

    with_halves, of_halves = fitted(half), fitted(None)
    scores = [
        [t.score for t in x.trials if not t.trained][:4]
        for x in (with_halves, of_halves)
    ]
    np.testing.assert_allclose(*scores, atol=0.01)
    whole = fitted(lambda images: images)
    assert [t.score for t in whole.trials if not t.trained][:4] != scores[0]


@pytest.mark.parametrize("recover", [None, "all"])
def test_a_margin_in_standard_errors(model, digits, recover):
    search = kbp.SearchOptions(samples=200, rounds=1, margin=2.0)
    result = run(model, digits, recover=recover, epochs=3, config=search)
    baseline = kbp.measure.accuracy(model, digits.validation)
    assert result.details["baseline"] == baseline
    for trial in result.trials:
        assert trial.error >= 0
        # One more answer than was seen counts as changed.
        margin = 2.0 * math.hypot(trial.error, 1 / len(digits.validation[1]))
        assert trial.good_enough == (trial.score - margin >= baseline - 0.03)
    images, labels = digits.validation
    right = [
        m.predict(images, verbose=0).argmax(-1) == labels for m in (model, result.model)
    ]
    lost = right[0].astype(float) - right[1]
    counts = int(np.sum(lost > 0)), int(np.sum(lost < 0)), len(labels)
    error = lost.std() / len(labels) ** 0.5
    chosen = result.trials[result.details["chosen"]]
    assert chosen.error == pytest.approx(error)
    assert chosen.bound == pytest.approx(loss_bound(*counts))
    assert lost.mean() + 2.0 * error <= 0.03 + 1e-9
    # Without it, more is removed.
    search = kbp.SearchOptions(samples=200, rounds=1, margin=0.0)
    free = run(model, digits, recover=recover, epochs=3, config=search)
    assert free.report.flops_ratio < result.report.flops_ratio < 1


def test_by_a_huge_margin_no_answer_may_be_lost(model, digits):
    search = kbp.SearchOptions(samples=200, rounds=1, margin=1000.0)
    result = run(model, digits, config=search)
    for trial in result.trials:
        assert trial.good_enough == (trial.error == 0)
    images = digits.validation[0]
    if result.met_budget:
        ours, theirs = (
            m.predict(images, verbose=0).argmax(-1) for m in (model, result.model)
        )
        right = digits.validation[1]
        np.testing.assert_array_equal(ours == right, theirs == right)


def few(digits, count):
    return tuple(part[:count] for part in digits.validation)


@pytest.mark.parametrize("labelled", [True, False])
def test_few_validation_images_are_no_certainty(model, digits, labelled, tmp_path):
    images, labels = few(digits, 4)
    data = (images, labels if labelled else None)
    with pytest.warns(UserWarning, match="Expected `validation` to hold") as warned:
        result = run(model, digits, 0.01, validation=data, output_dir=tmp_path)
    told = [str(one.message) for one in warned if "to hold enough" in str(one.message)]
    assert len(told) == 1
    assert "Received: 4 images. Even one that loses no answer there may lose" in told[0]
    assert "up to 52.7 points on others" in told[0]
    assert "Pass 299 images or more" in told[0]
    assert result.met_budget
    chosen = result.trials[result.details["chosen"]]
    assert chosen.error == 0
    assert chosen.bound == pytest.approx(0.52713, abs=1e-4)
    text = result.details["loss_statement"]
    assert text.startswith("On the 4 validation images 0.00 points were lost, with a")
    assert "with a standard error of 0.00. Since this is the smallest of" in text
    assert "up to 52.71 may be lost, with 95 % confidence" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["trials"][report["chosen"]]["bound"] == chosen.bound
    seen = sorted(set(labels.tolist()))
    assert [row["class"] for row in report["recall"]] == seen
    assert (
        f"Nothing is known of {10 - len(seen)} of the 10 classes"
        in report["class_warning"]
    )
    page = (tmp_path / "report.html").read_text()
    assert "up to 52.7 on other images" in page
    assert text.split(";")[0] in page


def test_by_default_the_budget_is_met_by_a_margin(model, digits):
    """With few images, answers that are lost and gained count against a network."""
    validation = few(digits, 60)
    with pytest.warns(UserWarning, match="to hold enough images"):
        result = kbp.compress(
            model,
            digits.train,
            validation,
            max_drop=0.02,
            config=kbp.SearchOptions(samples=200),
            verbose=0,
        )
    baseline = result.details["baseline"]
    # An answer more is 1.7 points here; 1.5 of these would let nothing pass.
    told = [
        (
            t.good_enough,
            t.score - math.hypot(1.5 * t.error, 0.99 * 0.02) >= baseline - 0.02,
        )
        for t in result.trials
    ]
    assert {one for one, _ in told} == {True, False}
    assert all(one == other for one, other in told)
    assert result.details["arguments"]["margin"] == 1.5


def test_a_rare_class_that_is_lost_is_seen(digits):
    """A class of three images on which one channel alone says what it is."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (200, 200, 3))
    images = rng.normal(0, 0.1, (403, 6, 6, 3)).astype("float32")
    images[np.arange(403), ..., labels] += 1.0
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 1, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))
    kernel = np.zeros((1, 1, 3, 6), "float32")
    kernel[0, 0, [0, 0, 1, 1, 2, 2], range(6)] = 1.0
    head = np.repeat(np.eye(3, dtype="float32") * 9, 2, axis=0)
    model.set_weights([kernel, np.zeros(6), head, np.zeros(3)])
    seldom = labels < 2  # the rare class is not among the training images
    with pytest.warns(UserWarning, match=r"in class 2 \(1.00 to 0.00, 3 images\)"):
        result = kbp.compress(
            model,
            images[seldom],
            (images, labels),
            max_drop=0.01,
            methods=["channels"],
            config=kbp.SearchOptions(margin=0.0),
            verbose=0,
        )
    assert result.met_budget
    predicted = result.model.predict(images, verbose=0).argmax(-1)
    assert result.recall == {
        number: (1.0, np.mean(predicted[labels == number] == number))
        for number in range(3)
    }
    assert result.recall[2] == (1.0, 0.0)
    assert result.recall[0] == result.recall[1] == (1.0, 1.0)
    assert "class 2 (1.00 to 0.00" in result.details["class_warning"]


def test_a_margin_that_is_none(model, digits):
    with pytest.raises(ValueError, match="`margin` to be a float of 0 or more"):
        run(model, digits, config=kbp.SearchOptions(margin=-1.0))


@pytest.mark.parametrize("recover", [None, "all", kbp.Recovery()])
def test_nothing_to_augment_by(model, digits, recover):
    with pytest.raises(ValueError, match="`recover` to be a Recovery with `augment`"):
        kbp.compress(
            model,
            digits.train,
            digits.validation,
            recover=recover,
            config=kbp.SearchOptions(augment=True),
        )


def test_pixels_of_another_range_are_noticed(model, digits):
    labels = np.zeros_like(digits.validation[1])
    labels[0] = 1
    dark = digits.validation[0] * 0
    with pytest.warns(UserWarning, match=r"`model` to be better .*Rescaling\(1 / 255"):
        kbp.compress(
            model,
            digits.train[0],
            (dark, (model.predict(dark, verbose=0).argmax(-1) + labels) % 10),
            max_drop=0.9,
            methods=["channels"],
            config=QUICK,
            verbose=0,
        )


class _Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_Subclassed, "`model` to be a built Functional or Sequential"),
        (lambda: keras.Sequential([layers.Dense(10)]), "`model` to be a built"),
    ],
)
def test_models_that_can_not_be_read_are_refused(digits, tmp_path, make, text):
    folder = tmp_path / "out"
    with pytest.raises(ValueError, match=text):
        kbp.compress(
            make(), digits.train[0], digits.validation[0], output_dir=folder, verbose=0
        )
    assert not folder.exists()


def test_logits_are_refused_before_the_search_if_they_are_to_train(digits, tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(10)(x))
    with pytest.raises(ValueError, match=r"`model` to return probabilities.*Softmax"):
        kbp.compress(
            model,
            digits.train,
            digits.validation,
            recover="all",
            output_dir=tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()
