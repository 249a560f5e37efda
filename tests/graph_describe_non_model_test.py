"""What people pass instead of a Keras model: each public function says what it is."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import keras_basisprune as kbp
from keras_basisprune.graph.describe_non_model import describe_non_model
from keras_basisprune.measure import predicted_latency

IMAGES, LABELS = np.zeros((4, 8, 8, 3), "float32"), np.arange(4) % 2
ACROSS = r"Keras 2 \(`tf_keras`\).*`new.set_weights\(old.get_weights\(\)\)`"


def layers_of(k):
    """The same classifier in Keras 2 and in Keras 3."""
    inputs = k.Input((8, 8, 3))
    x = k.layers.SeparableConv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = k.layers.ReLU()(k.layers.BatchNormalization()(x))
    x = k.layers.Add()([x, k.layers.DepthwiseConv2D(3, padding="same")(x)])
    x = k.layers.GlobalAveragePooling2D()(x * 2.0 + 1.0)
    return k.Model(inputs, k.layers.Dense(2, activation="softmax")(x))


@pytest.fixture(scope="module")
def old():
    """Of Keras 2, with other weights than it is born with."""
    model, rng = layers_of(tf_keras), np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return layers_of(keras)


channels = kbp.scores.channels
PAIR = (IMAGES, LABELS)
ENTRIES = {
    "accuracy": lambda m, good: kbp.measure.accuracy(m, PAIR),
    "channel_groups": lambda m, good: kbp.graph.channel_groups(m),
    "compare before": lambda m, good: kbp.compare(m, good),
    "compare after": lambda m, good: kbp.compare(good, m),
    "compensate": lambda m, good: kbp.compensate(m, kbp.Plan(), IMAGES),
    "compress": lambda m, good: kbp.compress(m, PAIR, PAIR),
    "convert": lambda m, good: kbp.convert(m),
    "convert data": lambda m, good: kbp.convert(m, data=IMAGES),
    "cost": lambda m, good: kbp.measure.cost(m),
    "describe": lambda m, good: kbp.describe(m),
    "export_saved_model": lambda m, good: kbp.export_saved_model(m, "never"),
    "export_tflite": lambda m, good: kbp.export_tflite(m, "never.tflite"),
    "flatten": lambda m, good: kbp.graph.flatten(m),
    "fold": lambda m, good: kbp.fold(m),
    "latency": lambda m, good: kbp.measure.latency(m),
    "plot_bases": lambda m, good: kbp.measure.plot_bases(m, "never.png"),
    "prune": lambda m, good: kbp.prune(m),
    "recalibrate": lambda m, good: kbp.surgery.recalibrate(m, IMAGES),
    "recover": lambda m, good: kbp.recover(m, PAIR),
    "recover teacher": lambda m, good: kbp.recover(good, PAIR, teacher=m),
    "per_cost": lambda m, good: kbp.plans.per_cost(m, np.zeros(3)),
    "select_bases": lambda m, good: kbp.select_bases(m, keep=0.5),
    "select_bases data": lambda m, good: kbp.select_bases(m, keep=0.5, data=IMAGES),
    "select_bases cost": lambda m, good: kbp.select_bases(
        m, keep=0.5, cost=kbp.LatencyTable()
    ),
    "select_channels": lambda m, good: kbp.select_channels(
        m, scores=np.zeros(3), keep=0.5
    ),
    "select_channels data": lambda m, good: kbp.select_channels(
        m, keep=0.5, data=IMAGES, cost=kbp.LatencyTable()
    ),
    "slimming": lambda m, good: kbp.methods.slimming(m, l1=1e-3),
    "sparsify": lambda m, good: kbp.sparsify(m, PAIR),
    "predicted_latency": lambda m, good: predicted_latency(m, kbp.LatencyTable()),
    "bases": lambda m, good: kbp.scores.bases(m),
    "energy": lambda m, good: kbp.scores.energy(m),
    "magnitude": lambda m, good: kbp.scores.magnitude(m),
    "taylor": lambda m, good: kbp.scores.taylor(m, PAIR, loss="mse"),
    "bn_scale": lambda m, good: channels.bn_scale(m),
    "fpgm": lambda m, good: channels.fpgm(m),
    "l1_norm": lambda m, good: channels.l1_norm(m),
    "l2_norm": lambda m, good: channels.l2_norm(m),
    "random": lambda m, good: channels.random(m),
    "activation": lambda m, good: channels.activation(m, IMAGES),
    "compensated": lambda m, good: channels.compensated(m, IMAGES),
    "channels.taylor": lambda m, good: channels.taylor(m, PAIR, loss="mse"),
    "L1Thresholding": lambda m, good: kbp.L1Thresholding().set_model(m),
}
NAMES = {
    "compare before": "before",
    "compare after": "after",
    "latency": "model_or_path",
    "recover teacher": "teacher",
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_function_names_keras_2_and_the_way_across(
    entry, old, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    argument = NAMES.get(entry, "model")
    message = (
        f"^Expected `{argument}` to be a built Functional or Sequential `keras.Model`. "
        f"Received: {argument}=.*{ACROSS}"
    )
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        ENTRIES[entry](old, model)
    assert list(tmp_path.iterdir()) == []
    assert not model.compiled
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("entry", ["latency", "recover", "compensate", "accuracy"])
@pytest.mark.parametrize("what", [None, 7, keras.Model, "layer", "array", "unbuilt"])
def test_what_is_no_model_is_refused(entry, what, model):
    things = {
        "layer": keras.layers.Conv2D(2, 3),
        "array": IMAGES,
        "unbuilt": keras.Sequential([keras.layers.Dense(2)]),
    }
    thing = things.get(what, what) if isinstance(what, str) else what
    with pytest.raises(ValueError, match="to be a built Functional or Sequential"):
        ENTRIES[entry](thing, model)
    assert what != "unbuilt" or not thing.built


@pytest.mark.parametrize("carry", ["set_weights", "file"])
def test_the_way_across_leads_to_the_same_outputs(carry, old, model, tmp_path):
    new = keras.models.clone_model(model)
    if carry == "set_weights":
        new.set_weights(old.get_weights())
    else:
        old.save_weights(tmp_path / "old.weights.h5")
        new.load_weights(tmp_path / "old.weights.h5")
    images = np.random.default_rng(1).normal(size=(5, 8, 8, 3)).astype("float32")
    expected = old.predict(images, verbose=0)
    np.testing.assert_allclose(new.predict(images, verbose=0), expected, atol=1e-5)
    folded = kbp.fold(kbp.convert(new))
    np.testing.assert_allclose(folded.predict(images, verbose=0), expected, atol=1e-5)


def test_an_h5_file_of_plain_layers_is_read_and_one_of_depthwise_ones_is_not(
    old, tmp_path
):
    plain = tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 3)),
            tf_keras.layers.Conv2D(4, 3),
            tf_keras.layers.BatchNormalization(),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(2),
        ]
    )
    plain.save(tmp_path / "plain.h5")
    images = np.random.default_rng(1).normal(size=(5, 8, 8, 3)).astype("float32")
    read = keras.models.load_model(tmp_path / "plain.h5")
    np.testing.assert_allclose(
        read.predict(images, verbose=0), plain.predict(images, verbose=0), atol=1e-5
    )
    old.save(tmp_path / "old.h5")
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(tmp_path / "old.h5")


class _Old(tf_keras.Model):
    def call(self, inputs):
        return inputs


class _Module(tf.Module):
    pass


def _torch():
    return type("Net", (type("Module", (), {"__module__": "torch.nn"}),), {})()


def _wrapped():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    return type("Result", (), {"model": model})()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: _Old(), ACROSS),
        (lambda: tf_keras.layers.Dense(2), ACROSS),
        (lambda: _Module(), "has no layers that can be read"),
        (lambda: tf.function(lambda x: x), "has no layers that can be read"),
        (_torch, "a module of PyTorch"),
        (_wrapped, "Pass its `.model`"),
        (lambda: {"model": 1}, "Build one with `keras.Model"),
        (lambda: "net.keras", r"load_model\(path\)"),
        (lambda: _Old, r"a class. Make a model of it: `_Old\(...\)`"),
        (
            lambda: keras.Function(*[keras.Input((2,))] * 2),
            r"keras.Model\(function.inputs, function.outputs\)",
        ),
    ],
)
def test_says_what_it_is(make, text):
    assert re.search(text, describe_non_model(make()))


def test_a_saved_model_is_named_in_both_of_its_forms(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.export(str(tmp_path / "saved"), verbose=False)
    layer = keras.layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serve")
    for thing in (tf.saved_model.load(str(tmp_path / "saved")), layer):
        with pytest.raises(ValueError, match="a SavedModel say, has no layers"):
            kbp.measure.cost(thing)


def test_other_arguments_that_hold_models():
    for wrong in (None, keras.Sequential([keras.Input((2,))])):
        with pytest.raises(ValueError, match="Expected `comparison` to be what"):
            kbp.measure.plot_comparison(wrong, "never.png")
    with pytest.raises(ValueError, match="Expected `layer` to be a `keras.layers.Lay"):
        kbp.LatencyTable().milliseconds(tf_keras.layers.Dense(2), (3,))
    with pytest.raises(ValueError, match="`model` to be a converted model.*NoneType"):
        kbp.Plan.from_masks(None)
    with pytest.raises(ValueError, match="Expected `name` to be a model of `keras.app"):
        kbp.data.application(None, weights=None, input_shape=(32, 32, 3), classes=2)
