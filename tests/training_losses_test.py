"""Losses of training, for every kind of output, and what outputs are."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, randomize
from scipy import special

import keras_basisprune as kbp
from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.output_kinds import output_kinds
from keras_basisprune.training.binary_distillation import BinaryDistillation
from keras_basisprune.training.cosine_distance import CosineDistance
from keras_basisprune.training.distillation import Distillation
from keras_basisprune.training.scaled_error import ScaledSquaredError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6, 6, 1)).astype("float32")


def network(head, flat=True, seed=1, loss=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1), name="x")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Flatten()(x) if flat else x
    model = randomize(keras.Model(inputs, head(x)), seed=seed)
    if loss is not None:
        model.compile("sgd", loss)
    return model


def dense(units, activation=None):
    return lambda x: layers.Dense(units, activation=activation)(x)


def maps(x):
    return layers.Conv2D(4, 1, activation="softmax")(x)


LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
CLASSES = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("head", "loss", "labels", "kind", "logits"),
    [
        (dense(3, "softmax"), None, None, "classes", False),
        (dense(1, "sigmoid"), None, None, "binary", False),
        (dense(3, "sigmoid"), None, np.eye(3)[[0] * 8], "binary", False),
        (dense(3, "sigmoid"), None, np.arange(8) % 3, "classes", False),
        (dense(2, "sigmoid"), None, np.full((8, 2), 0.4), "numbers", False),
        (dense(2, "sigmoid"), "mse", None, "numbers", False),
        (dense(2), None, None, "numbers", False),
        (dense(3), None, np.arange(8) % 3, "classes", None),
        (dense(3), CLASSES, None, "classes", True),
        (dense(1), LOGITS, None, "binary", True),
        (dense(3), LOGITS, None, "binary", True),
        (dense(3), "mse", np.arange(8) % 3, "numbers", False),
        (dense(3), "cosine_similarity", None, "directions", False),
        (lambda x: layers.UnitNormalization()(x), None, None, "directions", False),
        (
            lambda x: layers.Reshape((3, 1))(dense(3, "sigmoid")(x)),
            None,
            None,
            "binary",
            False,
        ),
        (
            lambda x: layers.Activation("linear")(layers.Softmax()(dense(3)(x))),
            None,
            None,
            "classes",
            False,
        ),
    ],
)
def test_what_an_output_is(head, loss, labels, kind, logits):
    model = network(head, loss=loss)
    data = X[:8] if labels is None else (X[:8], labels)
    (output,) = output_kinds(model, read_examples("train", model, data).first)
    assert (output.kind, output.logits) == (kind, logits)


def test_what_a_caller_says():
    model = network(dense(3))
    batch = read_examples("train", model, X).first
    assert output_kinds(model, batch, told=True)[0].kind == "classes"
    multi = read_examples("train", model, (X, np.ones((64, 3)))).first
    assert output_kinds(model, multi, told=True)[0].kind == "binary"


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_yes_and_no_by_numpy(temperature):
    one, other = RNG.normal(size=(2, 40, 3))
    t, s = (special.expit(x / temperature) for x in (one, other))
    expected = t * np.log(t / s) + (1 - t) * np.log((1 - t) / (1 - s))
    expected = temperature**2 * expected.mean()
    given = [x.astype("float32") for x in (one, other)]
    found = BinaryDistillation(temperature, from_logits=True)(*given)
    assert float(array(found)) == pytest.approx(expected, rel=1e-4)
    found = BinaryDistillation(temperature)(*(special.expit(x) for x in given))
    assert float(array(found)) == pytest.approx(expected, rel=1e-4)


def test_classes_from_logits_are_those_of_probabilities():
    one, other = RNG.normal(size=(2, 10, 5, 4)).astype("float32")
    soft = [special.softmax(x, -1) for x in (one, other)]
    found = float(array(Distillation(2.0, from_logits=True)(one, other)))
    assert found == pytest.approx(float(array(Distillation(2.0)(*soft))), rel=1e-4)


def test_numbers_by_their_variance():
    one, other = RNG.normal(size=(2, 50, 2)).astype("float32")
    expected = np.mean((one - other) ** 2 / [4.0, 0.25])
    found = float(array(ScaledSquaredError([4.0, 0.25])(one, other)))
    assert found == pytest.approx(expected, rel=1e-5)


def test_directions():
    one, other = RNG.normal(size=(2, 50, 3)).astype("float32")
    cosines = (one * other).sum(-1) / np.linalg.norm(one, axis=-1)
    expected = np.mean(1 - cosines / np.linalg.norm(other, axis=-1))
    found = float(array(CosineDistance()(one, other)))
    assert found == pytest.approx(expected, rel=1e-4)
    for loss in (CosineDistance(), ScaledSquaredError([1.0]), BinaryDistillation(2.0)):
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert again.get_config() == loss.get_config()


HEADS = {
    "sigmoid": (dense(1, "sigmoid"), None),
    "logits": (dense(3), CLASSES),
    "numbers": (dense(2), None),
    "directions": (lambda x: layers.UnitNormalization()(dense(4)(x)), None),
    "maps": (maps, None),
    "several": (lambda x: {"a": dense(3, "softmax")(x), "b": dense(2)(x)}, None),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_teacher_is_learned_from(kind):
    head, loss = HEADS[kind]
    teacher, model = (network(head, kind != "maps", s, loss) for s in (1, 2))
    config = kbp.Recovery(epochs=6, learning_rate=1e-2, batch_size=16)
    history = kbp.recover(model, X, teacher=teacher, config=config, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    told, said = (keras.tree.flatten(m.predict(X, verbose=0)) for m in (teacher, model))
    assert [a.shape for a in told] == [b.shape for b in said]


@pytest.mark.parametrize("teaching", [True, False])
def test_a_stream_trains_as_arrays_do(teaching):
    # One batch per epoch, so that its order does not matter.
    labels = RNG.normal(size=(64, 2)).astype("float32")
    found, losses = [], []
    for data in ((X, labels), [(X[:40], labels[:40]), (X[40:], labels[40:])]):
        model = network(dense(2), seed=2)
        teacher = network(dense(2)) if teaching else None
        config = kbp.Recovery(epochs=3, batch_size=64, keep_best=False)
        history = kbp.recover(model, data, teacher=teacher, config=config, verbose=0)
        losses.append(history.history["loss"])
        found.append(model.predict(X, verbose=0))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    np.testing.assert_allclose(*found, atol=0.02)


def test_labels_by_the_loss_of_ones_own():
    def doubled(y_true, y_pred):
        return 2 * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    labels = RNG.normal(size=(64, 2)).astype("float32")
    model = network(dense(2), loss=doubled)
    before = np.mean((model.predict(X, verbose=0) - labels) ** 2)
    config = kbp.Recovery(epochs=1, batch_size=64, learning_rate=1e-8)
    with_statistics = network(dense(2))
    history = kbp.recover(model, (X, labels), config=config, verbose=0).history
    plain = kbp.recover(with_statistics, (X, labels), config=config, verbose=0).history
    assert history["loss"][0] == pytest.approx(2 * plain["loss"][0], rel=1e-4)
    assert before > 0


def test_weights_of_samples_and_classes():
    labels = np.arange(64) % 2
    weights = np.where(labels, 0.0, 1.0).astype("float32")
    found = []
    for data, by_class in (
        ((X, labels, weights), None),
        ((X, labels), {1: 0.0}),
        ([(X, labels)], {1: 0.0}),
        ((X, labels), None),
    ):
        model = network(dense(1, "sigmoid"))
        config = kbp.Recovery(epochs=2, batch_size=64, class_weight=by_class)
        found.append(kbp.recover(model, data, config=config, verbose=0).history["loss"])
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[2] == pytest.approx(found[0], rel=1e-4)
    assert found[3] != pytest.approx(found[0], rel=1e-2)


@pytest.mark.parametrize("given", [{}, {"a": 1.0}, {0: -1.0}, [1.0], 3])
def test_weights_of_classes_that_are_none(given):
    with pytest.raises(ValueError, match="`class_weight` to be a dict"):
        kbp.Recovery(class_weight=given)


@pytest.mark.parametrize(
    ("head", "labels", "text"),
    [
        (dense(1, "sigmoid"), np.full(64, 0.0) + 2, "`train` to hold labels of 0 and"),
        (dense(2), np.zeros((64, 3)), r"`train` to hold labels of shape \(64, 2\)"),
        (dense(2), np.full((64, 2), np.nan), "`train` to hold finite labels"),
        (dense(3, "softmax"), np.ones((64, 3)), "`train` to hold one class per answer"),
        (dense(3, "softmax"), np.arange(64), r"`train` to hold labels in \[0, 3\)"),
        (dense(2), np.zeros((60, 2)), r"`train` to hold labels of shape \(64, 2\)"),
    ],
)
def test_labels_that_do_not_fit(head, labels, text):
    model = network(head)
    before = model.get_weights()
    with pytest.raises(ValueError, match=text):
        kbp.recover(model, (X, labels), verbose=0)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_maps_of_labels_that_do_not_fit():
    model = network(maps, flat=False)
    text = r"`train` to hold one integer label per place, of shape \(64, 6, 6\)"
    with pytest.raises(ValueError, match=text):
        kbp.recover(model, (X, np.zeros((64, 5, 6), int)), verbose=0)
