"""Metrics of `compress`: what they are by NumPy and Keras, errors, and wrong ones."""

import keras
import numpy as np
import pytest
from keras import layers
from models import randomize

from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.output_kinds import Output, output_kinds
from keras_basisprune.search.metrics.absolute_drop import absolute_drop
from keras_basisprune.search.metrics.chosen_metrics import chosen_metrics
from keras_basisprune.search.metrics.paired_bootstrap import paired_bootstrap
from keras_basisprune.search.scorer import Scorer
from keras_basisprune.utils.check_max_drop import check_max_drop

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(60, 6, 6, 1)).astype("float32")


def network(head, flat=True, seed=1):
    inputs = keras.Input((6, 6, 1), name="x")
    x = layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    x = layers.Flatten()(x) if flat else x
    return randomize(keras.Model(inputs, head(x)), seed=seed)


def scorer(model, data, metric="auto", mode="auto"):
    examples = read_examples("validation", model, data)
    outputs = output_kinds(model, examples.first)
    targets = examples.first.targets or [None] * len(outputs)
    labelled = [labels is not None for labels in targets]
    found = model.predict(IMAGES, verbose=0)
    constants = [x.mean(0) for x in keras.tree.flatten(found)]
    weighted = examples.weighted
    metrics = chosen_metrics(metric, mode, outputs, labelled, weighted, constants)
    return Scorer(model, examples, metrics, outputs)


def dense(units, activation=None, **kwargs):
    return layers.Dense(units, activation=activation, **kwargs)


def maps(channels, activation=None):
    return layers.Conv2D(channels, 1, activation=activation)


class TestDefaults:
    def test_one_sigmoid_is_right_or_wrong(self):
        model = network(dense(1, "sigmoid"))
        labels = RNG.integers(0, 2, 60)
        score = scorer(model, (IMAGES, labels))
        said = model.predict(IMAGES, verbose=0)[:, 0] > 0.5
        assert (score.metric, score.measure.exact) == ("binary_accuracy", True)
        assert score.baseline == pytest.approx(np.mean(said == labels))
        rows = score.recall(score.answers(model))
        assert [row["class"] for row in rows] == [0, 1]
        assert rows[1]["before"] == pytest.approx(np.mean(said[labels == 1]))

    def test_labels_of_a_sigmoid_each(self):
        model = network(dense(4, "sigmoid"))
        labels = RNG.integers(0, 2, (60, 4))
        score = scorer(model, (IMAGES, labels))
        said = model.predict(IMAGES, verbose=0) > 0.5
        assert (score.metric, score.measure.exact) == ("binary_accuracy", False)
        assert score.baseline == pytest.approx(np.mean(said == labels))

    def test_numbers_by_their_error(self):
        model, numbers = network(dense(2)), RNG.normal(size=(60, 2))
        score = scorer(model, (IMAGES, numbers))
        errors = np.abs(model.predict(IMAGES, verbose=0) - numbers)
        assert (score.metric, score.sign) == ("mean_absolute_error", -1)
        assert score.baseline == pytest.approx(errors.mean(), rel=1e-5)

    @pytest.mark.parametrize("one_hot", [False, True])
    def test_maps_of_classes_by_mean_iou(self, one_hot):
        model = network(maps(4, "softmax"), flat=False)
        labels = RNG.integers(0, 3, (60, 6, 6))  # the last class is nowhere
        given = np.eye(4)[labels] if one_hot else labels
        score = scorer(model, (IMAGES, given))
        metric = keras.metrics.MeanIoU(4)
        metric.update_state(labels, model.predict(IMAGES, verbose=0).argmax(-1))
        assert score.metric == "mean_iou"
        assert score.baseline == pytest.approx(float(metric.result()), rel=1e-6)

    def test_maps_of_one_class(self):
        model = network(maps(1, "sigmoid"), flat=False)
        labels = RNG.integers(0, 2, (60, 6, 6))
        metric = keras.metrics.BinaryIoU(threshold=0.5)
        metric.update_state(labels, model.predict(IMAGES, verbose=0)[..., 0])
        score = scorer(model, (IMAGES, labels))
        assert score.baseline == pytest.approx(float(metric.result()), rel=1e-6)

    def test_sequences_by_accuracy(self):
        inputs = keras.Input((12, 2))
        outputs = layers.Conv1D(3, 3, padding="same", activation="softmax")(inputs)
        model = randomize(keras.Model(inputs, outputs))
        x, labels = RNG.normal(size=(20, 12, 2)), RNG.integers(0, 3, (20, 12))
        examples = read_examples("validation", model, (x, labels))
        outputs = output_kinds(model, examples.first)
        metrics = chosen_metrics("auto", "auto", outputs, [True], False, [0])
        score = Scorer(model, examples, metrics, outputs)
        said = model.predict(x, verbose=0).argmax(-1)
        assert score.metric == "accuracy"
        assert score.baseline == pytest.approx(np.mean(said == labels))

    def test_directions_by_their_cosine(self):
        model = network(lambda x: layers.UnitNormalization()(dense(5)(x)))
        other = RNG.normal(size=(60, 5))
        score = scorer(model, (IMAGES, other))
        said = model.predict(IMAGES, verbose=0)
        cosines = (said * other).sum(-1) / np.linalg.norm(other, axis=-1)
        assert score.metric == "cosine_similarity"
        assert score.baseline == pytest.approx(cosines.mean(), rel=1e-5)

    def test_several_outputs_by_their_mean(self):
        model = network(lambda x: {"a": dense(3, "softmax")(x), "b": dense(2)(x)})
        labels = {"a": RNG.integers(0, 3, 60), "b": RNG.normal(size=(60, 2))}
        score = scorer(model, (IMAGES, labels))
        said = model.predict(IMAGES, verbose=0)
        right = np.mean(said["a"].argmax(-1) == labels["a"])
        errors = np.abs(said["b"] - labels["b"]).mean()
        spread = np.abs(labels["b"] - said["b"].mean(0)).mean()
        expected = (right + 1 - errors / spread) / 2
        assert score.baseline == pytest.approx(expected, rel=1e-4)
        assert score.measure.text.startswith("mean of accuracy of `a`, 1 - error")

    def test_without_labels_by_agreement(self):
        one, other = (network(dense(2), seed=seed) for seed in (1, 2))
        score = scorer(one, IMAGES)
        assert (score.metric, score.baseline) == ("agreement", 1.0)
        was, is_now = (m.predict(IMAGES, verbose=0) for m in (one, other))
        spread = np.abs(was - was.mean(0)).mean()
        expected = 1 - np.abs(was - is_now).mean() / spread
        assert score(other) == pytest.approx(expected, rel=1e-4)

    def test_weights_count(self):
        model, numbers = network(dense(1)), RNG.normal(size=60)
        weights = RNG.uniform(size=60)
        score = scorer(model, (IMAGES, numbers, weights))
        errors = np.abs(model.predict(IMAGES, verbose=0)[:, 0] - numbers)
        expected = np.average(errors, weights=weights)
        assert score.baseline == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("kind", ["maps", "sequence"])
    def test_weights_of_positions_count(self, kind):
        model = network(maps(3, "softmax"), flat=False)
        if kind == "sequence":
            outputs = layers.Reshape((36, 3))(model.output)
            model = keras.Model(model.input, outputs)
        labels = RNG.integers(0, 3, (60, 6, 6))
        there = RNG.integers(0, 2, (60, 6, 6)).astype("float32")
        said = model.predict(IMAGES, verbose=0).argmax(-1)
        if kind == "sequence":
            labels, there = labels.reshape(60, -1), there.reshape(60, -1)
            expected = np.average(said == labels, weights=there)
        else:
            metric = keras.metrics.MeanIoU(3)
            metric.update_state(labels, said, sample_weight=there)
            expected = float(metric.result())
        score = scorer(model, (IMAGES, labels, there))
        assert score.baseline == pytest.approx(expected, rel=1e-6)


class TestOfKeras:
    @pytest.mark.parametrize(
        "metric",
        [
            "auc",
            keras.metrics.Precision(thresholds=0.4),
            keras.metrics.F1Score(average="micro", threshold=0.5),
            "binary_crossentropy",
            keras.metrics.RootMeanSquaredError(),
            keras.metrics.R2Score(),
        ],
    )
    def test_it_is_what_keras_says(self, metric):
        model = network(dense(3, "sigmoid"))
        labels = RNG.integers(0, 2, (60, 3)).astype("float32")
        score = scorer(model, (IMAGES, labels), metric)
        known = keras.metrics.AUC() if metric == "auc" else metric
        known = keras.metrics.get(known)
        known.reset_state()
        known.update_state(labels, model.predict(IMAGES, verbose=0))
        assert score.baseline == pytest.approx(float(known.result()), rel=1e-4)

    def test_integers_where_one_hot_labels_are_asked_for(self):
        model, labels = network(dense(4, "softmax")), RNG.integers(0, 4, 60)
        score = scorer(model, (IMAGES, labels), ["f1", "accuracy"])
        known = keras.metrics.F1Score(average="macro")
        known.update_state(np.eye(4)[labels], model.predict(IMAGES, verbose=0))
        assert score.baseline == pytest.approx(float(known.result()), rel=1e-5)
        others = score.others(model)
        right = model.predict(IMAGES, verbose=0).argmax(-1) == labels
        assert others == {"accuracy": (pytest.approx(right.mean()),) * 2}

    def test_one_of_an_output(self):
        model = network(lambda x: {"a": dense(3, "softmax")(x), "b": dense(2)(x)})
        labels = {"a": RNG.integers(0, 3, 60), "b": RNG.normal(size=(60, 2))}
        score = scorer(model, (IMAGES, labels), {"b": "mse"})
        said = model.predict(IMAGES, verbose=0)["b"]
        assert score.sign == -1
        assert score.baseline == pytest.approx(np.mean((said - labels["b"]) ** 2), 1e-5)

    def test_one_for_all_outputs(self):
        model = network(lambda x: [dense(1)(x), dense(2)(x)])
        labels = [RNG.normal(size=(60, 1)), RNG.normal(size=(60, 2))]
        score = scorer(model, (IMAGES, labels), "mse")
        said = model.predict(IMAGES, verbose=0)
        pairs = zip(said, labels, strict=True)
        expected = np.mean([np.mean((a - b) ** 2) for a, b in pairs])
        assert score.baseline == pytest.approx(expected, rel=1e-5)


class TestOfOnesOwn:
    def test_a_number(self):
        model = network(dense(2))
        score = scorer(model, IMAGES, lambda network, data: 3.5 + data.mean())
        assert score.metric == "metric"
        assert score.baseline == pytest.approx(3.5 + IMAGES.mean())
        assert np.isnan(score.compared(score.answers(model))["error"])

    def test_a_number_per_sample(self):
        one, other = (network(dense(1), seed=seed) for seed in (1, 2))

        def error(network, data):
            return np.abs(network.predict(data[0], verbose=0)[:, 0] - data[1])

        numbers = RNG.normal(size=60)
        score = scorer(one, (IMAGES, numbers), error)
        assert score.sign == -1  # by its name
        plain = scorer(one, (IMAGES, numbers), "mae")
        ours, theirs = (s.compared(s.answers(other)) for s in (score, plain))
        assert ours["score"] == pytest.approx(theirs["score"], rel=1e-5)
        assert ours["error"] == pytest.approx(theirs["error"], rel=0.1)


class TestBootstrap:
    def test_the_error_of_a_mean(self):
        one, other = (network(dense(1), seed=seed) for seed in (1, 2))
        numbers = RNG.normal(size=60)
        score = scorer(one, (IMAGES, numbers))
        was, is_now = (
            np.abs(m.predict(IMAGES, verbose=0)[:, 0] - numbers) for m in (one, other)
        )
        lost = is_now - was
        found = score.compared(score.answers(other))
        usual = lost.std() / 60**0.5
        assert found["error"] == pytest.approx(usual, rel=0.1)
        assert found["bound"] == pytest.approx(lost.mean() + 1.645 * usual, rel=0.15)
        assert found == score.compared(score.answers(other))

    def test_the_same_network_loses_nothing(self):
        model = network(maps(4, "softmax"), flat=False)
        score = scorer(model, (IMAGES, RNG.integers(0, 4, (60, 6, 6))))
        found = score.compared(score.answers(model))
        assert (found["error"], found["bound"]) == (0.0, 0.0)

    def test_one_sample_tells_nothing(self):
        model = network(dense(2))
        score = scorer(model, (IMAGES[:1], np.zeros((1, 2))))
        rows = score.answers(model)
        found = paired_bootstrap(score.measure, rows, rows, 0.95)
        assert found == (np.inf, np.inf)


class _Largest(keras.metrics.Metric):
    """The largest error, which is no sum."""

    def __init__(self, name="largest_error"):
        super().__init__(name=name)
        self.most = self.add_variable((), "zeros", name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        errors = keras.ops.abs(y_pred - keras.ops.cast(y_true, y_pred.dtype))
        self.most.assign(keras.ops.maximum(self.most, keras.ops.max(errors)))

    def result(self):
        return self.most


def _fails(network, data):
    raise KeyError("no such label")


class TestRefused:
    @pytest.mark.parametrize(
        ("metric", "mode", "text"),
        [
            ("mae", "max", "`mode` to be 'min' for mean absolute error.*mode='max'"),
            ("auto", "max", "`mode` to be 'min' for mean absolute error"),
            ("mae", "least", "`mode` to be 'auto', 'max' or 'min'"),
            ("speed", "auto", "`metric` to be 'auto', the name.*metric='speed'"),
            (3, "auto", "`metric` to be 'auto', the name.*metric=3"),
            ([], "auto", "`metric` to be 'auto', the name"),
            ("accuracy", "auto", "`metric` to fit the output.*which holds numbers"),
            ("mean_iou", "auto", "`metric` to fit the output.*which holds numbers"),
            (_Largest(), "min", "`metric` to give a number.*no sum over samples"),
            (
                _fails,
                "auto",
                "`metric` to give a number.*KeyError from `_fails`.*no su",
            ),
            (lambda m, d: "good", "max", "`metric` to give a number for the original"),
            (
                lambda m, d: np.nan,
                "max",
                "`metric` to give a number.*nan from `metric`",
            ),
            ({"z": "mae"}, "auto", "`metric` to name outputs that have labels"),
            (keras.metrics.MeanMetricWrapper(lambda a, b: a), "auto", "`mode` to be"),
        ],
    )
    def test_it_is_named(self, metric, mode, text):
        model = network(dense(2))
        with pytest.raises(ValueError, match=text):
            scorer(model, (IMAGES, RNG.normal(size=(60, 2))), metric, mode)

    def test_a_metric_of_keras_needs_labels(self):
        with pytest.raises(ValueError, match="`validation` to hold labels for metric"):
            scorer(network(dense(2)), IMAGES, "mse")

    def test_a_result_per_class(self):
        model, labels = network(dense(4, "softmax")), RNG.integers(0, 4, 60)
        with pytest.raises(ValueError, match=r"shape \(4,\).*average='macro'"):
            scorer(model, (IMAGES, labels), keras.metrics.F1Score())


class TestBudget:
    share = chosen_metrics(
        "auto", "auto", [Output("y", "binary", False, (1,))], [True], False, [0]
    )[0]
    error = chosen_metrics(
        "auto", "auto", [Output("y", "numbers", False, (1,))], [True], False, [0]
    )[0]

    @pytest.mark.parametrize(
        ("given", "measure", "expected"),
        [
            (None, share, 0.01),
            (None, error, 0.004),
            (0.02, share, 0.02),
            (3, error, 3.0),
            ("5%", share, 0.02),
            (" 2.5 % ", error, 0.01),
        ],
    )
    def test_what_may_be_lost(self, given, measure, expected):
        assert absolute_drop(check_max_drop(given), measure, 0.4) == pytest.approx(
            expected
        )

    @pytest.mark.parametrize("given", ["5", "one", "-1%", "100%", -0.1, np.nan, [1]])
    def test_what_is_no_budget(self, given):
        with pytest.raises(ValueError, match="`max_drop` to be a float.*max_drop="):
            check_max_drop(given)
