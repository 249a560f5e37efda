"""`compress` with several inputs and outputs, streams, metrics, and wrong ones."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from models import randomize

import keras_basisprune as kbp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 8, 8, 2)).astype("float32")
Z = RNG.normal(size=(96, 3)).astype("float32")
QUICK = kbp.SearchOptions(rounds=1, samples=96)
pytestmark = pytest.mark.filterwarnings(
    "error:The structure of", "ignore:Expected `validation`", "ignore:Expected `model`"
)


def body(x):
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Conv2D(16, 3, strides=2, activation="relu")(x)


@pytest.fixture(scope="module")
def numbers():
    """A network of two numbers."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2), name="image")
    x = layers.GlobalAveragePooling2D()(body(inputs))
    return randomize(keras.Model(inputs, layers.Dense(2, name="numbers")(x)))


@pytest.fixture(scope="module")
def several():
    """Two inputs and two outputs, by name."""
    keras.utils.set_random_seed(0)
    inputs = {"image": keras.Input((8, 8, 2)), "more": keras.Input((3,))}
    x = layers.GlobalAveragePooling2D()(body(inputs["image"]))
    x = layers.Concatenate()([x, inputs["more"]])
    heads = {
        "kind": layers.Dense(3, activation="softmax")(x),
        "size": layers.Dense(1)(x),
    }
    return randomize(keras.Model(inputs, heads))


def answers(model, x):
    """What a model says, as labels."""
    return keras.tree.map_structure(np.asarray, model.predict(x, verbose=0))


def compressed(model, train, validation, **arguments):
    arguments = {"config": QUICK, "methods": ["channels"], "verbose": 0, **arguments}
    return kbp.compress(model, train, validation, **arguments)


def test_inputs_and_outputs_by_name(several, tmp_path):
    x = {"image": X, "more": Z}
    said = answers(several, x)
    labels = {"kind": said["kind"].argmax(-1), "size": said["size"]}
    result = compressed(
        several,
        x,
        (x, labels),
        max_drop=0.1,
        recover=kbp.Recovery(epochs=1),
        output_dir=tmp_path,
        test=(x, labels),
    )
    small = answers(result.model, x)
    right = np.mean(small["kind"].argmax(-1) == labels["kind"])
    spread = np.abs(said["size"] - said["size"].mean(0)).mean()
    explained = 1 - np.abs(small["size"] - said["size"]).mean() / spread
    before, after = result.scores["mean_of_outputs"]
    assert before == 1.0
    assert after == pytest.approx(0.5 * (right + explained), abs=1e-3)
    assert result.report.extra["mean of outputs on test"][0] == 1.0
    again = keras.models.load_model(tmp_path / "small.keras")
    for one, other in zip(
        keras.tree.flatten(small), keras.tree.flatten(answers(again, x)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["metric_text"] == (
        "mean of accuracy of `kind`, 1 - error / deviation of `size`"
    )
    assert "mean of accuracy" in (tmp_path / "report.html").read_text()


def test_a_stream_is_judged_as_arrays_are(numbers):
    import tensorflow as tf

    labels = answers(numbers, X) + RNG.normal(0, 0.01, (96, 2)).astype("float32")
    stream = tf.data.Dataset.from_tensor_slices((X, labels)).batch(20)
    ours, theirs = (
        compressed(numbers, data, data, max_drop="50%")
        for data in (stream, (X, labels))
    )
    assert ours.metric == "mean_absolute_error"
    assert [t.kept for t in ours.trials] == [t.kept for t in theirs.trials]
    scores = [[t.score for t in result.trials] for result in (ours, theirs)]
    np.testing.assert_allclose(*scores, rtol=1e-3)
    before, after = ours.scores["mean_absolute_error"]
    errors = np.abs(answers(ours.model, X) - labels)
    assert after == pytest.approx(errors.mean(), rel=1e-3)
    assert before <= after <= 1.5 * before
    assert ours.details["least"] == pytest.approx(1.5 * before)


def test_the_state_of_another_metric_is_refused(numbers, tmp_path):
    labels = answers(numbers, X) + 0.1
    data = X, [{"x": [x], "more": [x] * i} for i, x in enumerate(labels[:, 0])]

    def worst(model, given):
        truth = np.array([row["x"][0] for row in given[1]])
        return np.abs(model.predict(given[0], verbose=0)[:, 0] - truth).max()

    arguments = {"mode": "min", "max_drop": "20%", "output_dir": tmp_path}
    result = compressed(numbers, X, data, metric=worst, **arguments)
    assert result.scores["worst"][1] == pytest.approx(worst(result.model, data))
    assert all(np.isnan(trial.error) for trial in result.trials)
    told = result.details["loss_statement"]
    assert told.endswith("how much worse it may be on others is not known.")
    assert "worst" in (tmp_path / "report.html").read_text()
    for changes, text in (
        ({"metric": lambda m, d: worst(m, d)}, "another metric "),
        ({"metric": worst, "mode": "max"}, "another mode"),
        ({"metric": worst, "max_drop": 0.2}, r"another max_drop \(20%\)"),
    ):
        with pytest.raises(ValueError, match=f"`output_dir` to be empty.*{text}"):
            compressed(numbers, X, data, **{**arguments, **changes})
    other = X, [{**row, "more": [1.0]} for row in data[1]]
    with pytest.raises(ValueError, match=r"another validation \("):
        compressed(numbers, X, other, metric=worst, **arguments)
    again = compressed(numbers, X, data, metric=worst, **arguments)
    assert repr(again.trials) == repr(result.trials)


def test_a_budget_of_an_error_that_can_not_be_met(numbers):
    data = X, answers(numbers, X)
    with pytest.warns(UserWarning, match="original scores 0.0000, the best of"):
        result = compressed(numbers, X, data, metric="mse", max_drop=0.0)
    assert not result.met_budget
    np.testing.assert_allclose(answers(result.model, X), data[1], atol=1e-5)


class Shuffled(keras.utils.PyDataset):
    num_batches = 4

    def __getitem__(self, index):
        return X[np.random.default_rng().permutation(96)[:24]]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"metric": "speed"}, "`metric` to be 'auto'"),
        ({"metric": lambda m, d: "good"}, "`metric` to give a number for the original"),
        ({"metric": lambda m, d: None.x}, "`metric` to give a number.*AttributeError"),
        ({"metric": "mae", "mode": "max"}, "`mode` to be 'min'"),
        ({"max_drop": "1"}, "`max_drop` to be a float"),
        (
            {"validation": (X, np.zeros((96, 3)))},
            "`validation` to hold labels of shape",
        ),
        ({"train": (X, np.zeros((96, 3)))}, "`train` to hold labels of shape"),
        ({"test": X}, "`test` to be a pair"),
        (
            {"validation": Shuffled()},
            "`validation` to give its samples in the same ord",
        ),
        ({"methods": ["slimming"]}, r"`methods` that train.*\['slimming'\].*numbers"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_trial(numbers, tmp_path, changes, text):
    labels = answers(numbers, X)
    given = {"train": X, "validation": (X, labels), "output_dir": tmp_path / "out"}
    weights = numbers.get_weights()
    with pytest.raises(ValueError, match=text):
        compressed(numbers, **{**given, **changes})
    assert not (tmp_path / "out").exists()
    for one, other in zip(weights, numbers.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
