"""Models cross to `tf_keras` and back with the same outputs, weights and names."""

import importlib
import os
import subprocess
import sys

import keras
import models
import nested_models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tfmot_models
from families import FAMILIES
from keras import layers
from models import array, outputs, randomize, sample

import keras_basisprune as kbp
from benchmarks import applications
from keras_basisprune.export.tfmot import from_tf_keras, to_tf_keras

EXACT = 1e-6
TOLERANCES = {"float16": 1e-2, "bfloat16": 6e-2}
# Channels first needs a GPU; `custom` has a user's layer.
LEFT_OUT = ("channels_first", "custom")
BUILDERS = {
    **{name: make for name, make in models.KINDS.items() if name not in LEFT_OUT},
    **{f"family {name}": make for name, make in FAMILIES.items()},
    **{f"nested {name}": make for name, make in nested_models.NESTED.items()},
    **{make.__name__: make for make in tfmot_models.OWN},
    "mobile": tfmot_models.mobile,
}


def run(model, inputs):
    """Outputs of a `tf_keras` model, flat."""
    found = model(inputs, training=False)
    return [np.asarray(x) for x in keras.tree.flatten(found)]


def difference(a, b):
    """The largest difference of outputs, relative to the largest value of each."""
    return max(
        np.max(np.abs(np.asarray(x, "float64") - y)) / max(np.max(np.abs(x)), 1e-30)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("name", BUILDERS)
def test_there_and_back(name):
    model = randomize(BUILDERS[name]())
    inputs, before = sample(model), [array(w) for w in model.weights]
    wanted = outputs(model, inputs)
    tolerance = TOLERANCES.get(wanted[0].dtype.name, EXACT)
    old = to_tf_keras(model)
    assert isinstance(old, tf_keras.Model)
    assert not isinstance(old, keras.Model)
    found = run(old, inputs)
    assert [x.dtype for x in found] == [x.dtype for x in wanted]
    assert difference(wanted, found) <= tolerance
    new = from_tf_keras(old)
    assert isinstance(new, keras.Model)
    found = outputs(new, inputs)
    assert [x.dtype for x in found] == [x.dtype for x in wanted]
    assert difference(wanted, found) <= tolerance
    if not isinstance(model, keras.Sequential):
        kept, made = model.output, new.output
        assert keras.tree.map_structure(lambda _: 0, made) == (
            keras.tree.map_structure(lambda _: 0, kept)
        )
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)


def test_weights_names_and_flags_stay():
    model = randomize(models.frozen())
    old = to_tf_keras(model)
    flat = kbp.graph.flatten(model)
    names = [layer.name for layer in flat.layers]
    assert sorted(layer.name for layer in old.layers) == sorted(names)
    for new in (old, from_tf_keras(old)):
        for layer in flat.layers:
            twin = new.get_layer(layer.name)
            assert type(twin).__name__ == type(layer).__name__
            assert twin.trainable == layer.trainable
            for a, b in zip(layer.weights, twin.get_weights(), strict=True):
                np.testing.assert_array_equal(array(a), b)


def test_penalties_count_the_same():
    model = randomize(tfmot_models.penalized())
    x = sample(model)
    model(x, training=True)
    wanted = float(sum(model.losses))
    old = to_tf_keras(model)
    old(x, training=True)
    np.testing.assert_allclose(float(sum(old.losses)), wanted, rtol=1e-5)
    new = from_tf_keras(old)
    new(x, training=True)
    np.testing.assert_allclose(float(sum(new.losses)), wanted, rtol=1e-5)
    constraint = new.layers[1].kernel_constraint
    assert (constraint.max_value, constraint.axis) == (2.0, 0)


def test_a_shared_layer_stays_shared():
    old = to_tf_keras(randomize(models.shared()))
    assert len([x for x in old.layers if x.name == "conv"]) == 1
    assert len(old.get_layer("conv").inbound_nodes) == 3


def test_it_is_saved_and_loaded(tmp_path):
    model = randomize(tfmot_models.activations())
    old, x = to_tf_keras(model), sample(model)
    old.save(tmp_path / "old.keras")
    loaded = tf_keras.models.load_model(tmp_path / "old.keras")
    assert difference(run(old, x), run(loaded, x)) == 0


def test_layers_of_applications_that_have_no_public_name():
    home = importlib.import_module("keras.src.applications.inception_resnet_v2")
    other = importlib.import_module("keras.src.applications.convnext")
    x = inputs = keras.Input((4, 4, 3))
    x = home.CustomScaleLayer(0.3)([x, layers.ReLU()(x)])
    x = other.StochasticDepth(0.2)(other.LayerScale(0.5, 3)(x))
    model = randomize(keras.Model(inputs, x))
    images = sample(model)
    old, wanted = to_tf_keras(model), outputs(model, images)
    assert difference(wanted, run(old, images)) <= EXACT
    assert difference(wanted, outputs(from_tf_keras(old), images)) <= EXACT


def test_it_trains():
    model = randomize(tfmot_models.mobile())
    old, x = to_tf_keras(model), sample(model, batch=8)
    old.compile("sgd", "sparse_categorical_crossentropy")
    before = old.get_weights()
    old.fit(x, np.arange(8) % 4, verbose=0)
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, old.get_weights(), strict=True)
    ]
    assert all(moved)
    assert difference(run(old, x), outputs(from_tf_keras(old), x)) <= EXACT


def users_model():
    """What people write with `tf_keras` and TensorFlow."""
    layers = tf_keras.layers
    x = tf_keras.Input((6, 6, 3), name="inner_image")
    inner = tf_keras.Model(x, layers.Conv2D(4, 3, activation="swish")(x), name="inner")
    a = tf_keras.Input((8, 8, 3), name="image")
    b = tf_keras.Input((5,), name="extra")
    x = tf.image.resize(a * 2.0 - 1, (6, 6)) / 3.0
    x = inner(x) + inner(x[:, ::-1])
    x = tf.nn.relu(x) ** 2
    x = tf.concat([x, tf.transpose(x, [0, 2, 1, 3])], axis=-1)
    y = layers.Dense(8, "relu")(layers.LeakyReLU(alpha=0.1)(b))
    y = tf.reshape(y, (-1, 1, 1, 8))
    x = tf.reduce_mean(x * y, axis=[1, 2])
    p, q = tf.split(x, 2, axis=1)
    total = tf.clip_by_value(tf.expand_dims(p - q, 1), -1, 1)
    inputs = {"image": a, "extra": b}
    return tf_keras.Model(inputs, {"a": layers.Softmax()(x), "b": total})


def test_a_model_of_tensorflow_functions():
    old = users_model()
    rng = np.random.default_rng(0)
    old.set_weights([rng.normal(size=w.shape) for w in old.get_weights()])
    x = {
        "image": rng.normal(size=(2, 8, 8, 3)).astype("float32"),
        "extra": rng.normal(size=(2, 5)).astype("float32"),
    }
    new = from_tf_keras(old)
    assert set(new.output) == {"a", "b"}
    assert new.get_layer("inner").layers[1].activation is keras.activations.silu
    assert difference(run(old, x), outputs(new, x)) <= EXACT
    again = to_tf_keras(new)
    assert difference(run(old, x), run(again, x)) <= EXACT


def test_names_the_layer_that_cannot_cross():
    with pytest.raises(ValueError, match="`doubled`.*Doubled.*not one of `keras`"):
        to_tf_keras(models.custom())
    x = inputs = keras.Input((4, 4, 3))
    pooled = layers.AdaptiveAveragePooling2D(2, name="adaptive")(x)
    with pytest.raises(ValueError, match="`adaptive`.*`tf_keras` has none"):
        to_tf_keras(keras.Model(inputs, pooled))
    sorted_ = keras.ops.sort(x)
    with pytest.raises(ValueError, match="`sort`.*no equal.*Replace it"):
        to_tf_keras(keras.Model(inputs, sorted_))
    normed = layers.Dense(2, keras.activations.sparsemax, name="odd")(x)
    with pytest.raises(ValueError, match="`odd`.*no activation 'sparsemax'"):
        to_tf_keras(keras.Model(inputs, normed))
    # That of `tf_keras` works only where `tf.keras` is Keras 2.
    conv = layers.SpectralNormalization(layers.Conv2D(4, 3), name="spectral")(x)
    with pytest.raises(ValueError, match="`spectral`.*raised TypeError"):
        to_tf_keras(keras.Model(inputs, conv))
    with pytest.raises(ValueError, match="BasisScalingConv.*`fold`"):
        to_tf_keras(kbp.convert(models.sequential()))
    quantized = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="small")])
    quantized.quantize("int8")
    with pytest.raises(ValueError, match="`small`.*quantized"):
        to_tf_keras(quantized)


def test_names_the_old_layer_that_cannot_cross():
    x = inputs = tf_keras.Input((4, 4, 3))
    local = tf_keras.layers.LocallyConnected2D(2, 3, name="local")(x)
    with pytest.raises(ValueError, match="`local`.*`keras` has none"):
        from_tf_keras(tf_keras.Model(inputs, local))
    hard = tf_keras.layers.Activation("hard_sigmoid", name="hard")(x)
    with pytest.raises(ValueError, match="`hard`.*computes the same"):
        from_tf_keras(tf_keras.Model(inputs, hard))
    with pytest.raises(ValueError, match=r"no equal of `tf.math.cumsum`"):
        from_tf_keras(tf_keras.Model(inputs, tf.math.cumsum(x)))
    for value in (None, 3, models.dense(), tf_keras.layers.Dense(2)):
        with pytest.raises(
            ValueError, match="`model` to be a built .*`tf_keras.Model`"
        ):
            from_tf_keras(value)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    for function in (to_tf_keras, from_tf_keras):
        with pytest.raises(
            ValueError, match=r'pip install "keras-basisprune\[tfmot\]"'
        ):
            function(models.dense())


FRESH = """
import os
import keras, numpy as np, tensorflow as tf
from keras_basisprune.export.tfmot import _packages, from_tf_keras, to_tf_keras
x = inputs = keras.Input((6, 6, 3))
x = keras.layers.Conv2D(4, 3, activation="hard_silu")(2 * x)
model = keras.Model(inputs, keras.ops.mean(x + x, (1, 2)))
images = np.random.default_rng(0).random((2, 6, 6, 3), "float32")
old = to_tf_keras(model)
_packages.load_tfmot()
assert "TF_USE_LEGACY_KERAS" not in os.environ
assert tf.keras.layers.Dense is keras.layers.Dense
assert tf.optimizers.Adam is keras.optimizers.Adam
wanted = np.asarray(model(images))
np.testing.assert_allclose(np.asarray(old(images)), wanted, atol=1e-6)
found = np.asarray(from_tf_keras(old)(images))
np.testing.assert_allclose(found, wanted, atol=1e-6)
print(keras.backend.backend())
"""


def test_keras_3_on_jax_and_the_environment_stay_as_they_are():
    pytest.importorskip("jax")
    left = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        env={**left, "KERAS_BACKEND": "jax"},
        capture_output=True,
    )
    assert done.stdout.strip() == b"jax", done.stderr[-2000:].decode()


@pytest.mark.large
@pytest.mark.parametrize("name", applications.MODELS)
def test_application(name):
    keras.utils.set_random_seed(0)
    model = applications.build(name)
    applications.randomize_norms(model)
    images = applications.random_images(model)
    wanted, old = outputs(model, images), to_tf_keras(model)
    there = difference(wanted, run(old, images))
    new = from_tf_keras(old)
    back = difference(wanted, outputs(new, images))
    print(f"{name}: {there:.1e} there, {back:.1e} back")
    assert max(there, back) <= EXACT
    for a, b in zip(model.weights, new.weights, strict=True):
        np.testing.assert_array_equal(array(a), array(b))
    keras.utils.clear_session()
    tf_keras.backend.clear_session()
