import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from contract import mask_half
from keras import layers
from models import (
    array,
    dense,
    identical,
    nested,
    outputs,
    plain,
    randomize,
    relative_difference,
    sample,
    separable,
)

import keras_basisprune as kbp

TOLERANCE = 1e-5

LAYERS = {
    "conv1d": (layers.Conv1D(5, 3), 1),
    "conv2d": (layers.Conv2D(5, 3, strides=2, use_bias=False), 2),
    "conv3d": (layers.Conv3D(5, 2), 3),
    "grouped": (layers.Conv2D(6, 3, groups=2), 2),
    "depthwise1d": (layers.DepthwiseConv1D(3, depth_multiplier=2), 1),
    "depthwise2d": (layers.DepthwiseConv2D(3, depth_multiplier=2), 2),
    "separable1d": (layers.SeparableConv1D(5, 3), 1),
    "separable2d": (layers.SeparableConv2D(5, 3, depth_multiplier=2), 2),
    "transposed1d": (layers.Conv1DTranspose(5, 3), 1),
    "transposed2d": (layers.Conv2DTranspose(5, 3, strides=2, use_bias=False), 2),
    "transposed3d": (layers.Conv3DTranspose(5, 2), 3),
    "dense": (layers.Dense(5), 0),
    "dense on images": (layers.Dense(5, use_bias=False), 2),
}


def anew(layer, **changes):
    return type(layer).from_config({**layer.get_config(), **changes})


def kinds(model):
    return [type(layer).__name__ for layer in model.layers[1:]]


def hold_folded(model, expected_kinds):
    """Asserts that folding keeps the outputs, is done once, and leaves these layers."""
    randomize(model)
    x = sample(model)
    before = outputs(model, x)
    folded = kbp.fold(model)
    assert kinds(folded) == expected_kinds
    assert relative_difference(before, outputs(folded, x)) <= TOLERANCE
    again = kbp.fold(folded)
    assert kinds(again) == expected_kinds
    assert identical(outputs(folded, x), outputs(again, x))
    assert identical(before, outputs(model, x))
    return folded


@pytest.mark.parametrize("form", [{}, {"scale": False}, {"center": False}, "both"])
@pytest.mark.parametrize("case", LAYERS)
def test_batch_normalization_after_a_layer(case, form):
    form = {"scale": False, "center": False} if form == "both" else form
    layer, rank = LAYERS[case]
    inputs = keras.Input((6, 7, 5)[:rank] + (4,))
    x = anew(layer, name="layer")(inputs)
    model = keras.Model(inputs, layers.BatchNormalization(epsilon=0.1, **form)(x))
    folded = hold_folded(model, [type(layer).__name__])
    assert folded.get_layer("layer").use_bias


@pytest.mark.parametrize("case", [c for c in LAYERS if not c.startswith("dense")])
def test_batch_normalization_with_channels_first(case):
    layer, rank = LAYERS[case]
    # On TensorFlow, Keras 3.15 adds a bias along the last axis if that is as long as
    # the bias: no size here is a number of channels.
    inputs = keras.Input((4, *(9, 14, 13)[:rank]))
    x = anew(layer, data_format="channels_first")(inputs)
    model = keras.Model(inputs, layers.BatchNormalization(axis=1)(x))
    hold_folded(model, [type(layer).__name__])


@pytest.mark.parametrize("case", ["conv1d", "conv2d", "conv3d", "separable2d", "dense"])
def test_batch_normalization_after_a_converted_layer(case):
    layer, rank = LAYERS[case]
    inputs = keras.Input((6, 7, 5)[:rank] + (4,))
    x = layers.BatchNormalization()(anew(layer, name="layer")(inputs))
    model = randomize(keras.Model(inputs, layers.BatchNormalization()(x)))
    converted, x = kbp.convert(model, include="layer"), sample(model)
    mask_half(converted)
    masked = outputs(converted, x)
    folded = kbp.fold(converted)
    assert "BatchNormalization" not in kinds(folded)
    assert "BasisScalingConv" not in kinds(folded)
    assert relative_difference(masked, outputs(folded, x)) <= TOLERANCE


def test_the_numbers_of_a_folded_batch_normalization():
    inputs = keras.Input((1,))
    x = layers.Dense(2, name="dense")(inputs)
    model = keras.Model(inputs, layers.BatchNormalization(epsilon=0.0, name="bn")(x))
    model.get_layer("dense").set_weights([np.array([[1.0, 2.0]]), np.array([3.0, 4.0])])
    gamma, beta, mean, variance = [2.0, 3.0], [0.5, 0.0], [1.0, 2.0], [4.0, 9.0]
    model.get_layer("bn").set_weights(
        [np.array(v) for v in (gamma, beta, mean, variance)]
    )
    kernel, bias = kbp.fold(model).get_layer("dense").get_weights()
    np.testing.assert_allclose(kernel, [[1.0, 2.0]])
    np.testing.assert_allclose(bias, [2.5, 2.0])


def test_several_batch_normalizations():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3)(inputs)
    for form in ({}, {"scale": False}, {"center": False}):
        x = layers.BatchNormalization(**form)(x)
    hold_folded(keras.Model(inputs, layers.ReLU()(x)), ["Conv2D", "ReLU"])


def test_a_shared_convolution_with_its_own_shared_normalization():
    a, b = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    conv, norm = layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization()
    model = keras.Model([a, b], [norm(conv(a)), norm(conv(b))])
    hold_folded(model, ["InputLayer", "Conv2D"])


def test_batch_normalization_can_be_left():
    folded = kbp.fold(plain(), batch_norm=False)
    assert kinds(folded) == kinds(plain())


def conv(**arguments):
    return layers.Conv2D(4, 3, name="conv", **arguments)


def with_activation(x):
    return layers.BatchNormalization()(conv(activation="relu")(x))


def used_twice(x):
    x = conv()(x)
    return layers.BatchNormalization()(x) + x


def read_by_two(x):
    x = conv()(x)
    return [layers.BatchNormalization()(x), layers.BatchNormalization()(x)]


def model_output(x):
    x = conv()(x)
    return [layers.BatchNormalization()(x), x]


def in_training(x):
    return layers.BatchNormalization()(conv()(x), training=True)


def in_training_once(x):
    layer, norm = conv(), layers.BatchNormalization()
    return [norm(layer(x), training=True), norm(layer(2.0 * x))]


def other_axis(x):
    return layers.BatchNormalization(axis=1)(conv()(x))


def shared_convolution(x):
    layer = conv()
    return [
        layers.BatchNormalization()(layer(x)),
        layers.BatchNormalization()(-layer(-x)),
    ]


def shared_by_two_normalizations(x):
    layer = conv()
    return [layers.BatchNormalization()(layer(y)) for y in (x, -x)]


def shared_normalization(x):
    norm = layers.BatchNormalization()
    return [norm(conv()(x)), norm(layers.ReLU()(x)[:, 1:-1, 1:-1] * np.ones(4, "f4"))]


def something_between(x):
    return layers.BatchNormalization()(layers.Activation("tanh")(conv()(x)))


def regularized_activity(x):
    return layers.BatchNormalization()(conv(activity_regularizer="l2")(x))


def other_normalization(x):
    return layers.GroupNormalization(2)(conv()(x))


NOT_FOLDED = [
    with_activation,
    used_twice,
    read_by_two,
    model_output,
    in_training,
    in_training_once,
    other_axis,
    shared_convolution,
    shared_by_two_normalizations,
    something_between,
    regularized_activity,
    other_normalization,
]


@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("make", NOT_FOLDED)
def test_batch_normalization_that_is_not_folded(make, converted):
    inputs = keras.Input((6, 6, 3))
    model = randomize(keras.Model(inputs, make(inputs)))
    count = sum("Normalization" in kind for kind in kinds(model))
    folded, x = kbp.fold(kbp.convert(model) if converted else model), sample(model)
    assert sum("Normalization" in kind for kind in kinds(folded)) == count
    before, after = (outputs(m, x, training=None) for m in (model, folded))
    assert relative_difference(before, after) <= TOLERANCE


@pytest.mark.parametrize(
    ("rank", "expected"), [(1, "two"), (2, "two"), (3, "one"), (4, "one")]
)
@pytest.mark.parametrize(
    "layer", [layers.Conv2D(4, 2, padding="same"), layers.Dense(4)]
)
def test_the_cheaper_form_is_chosen_at_the_break_even(layer, rank, expected):
    # n = 12 and cout = 4 break even at r = 48 / 16 = 3.
    inputs = keras.Input((5, 5, 3) if isinstance(layer, layers.Conv2D) else (12,))
    model = randomize(keras.Model(inputs, anew(layer, name="layer")(inputs)))
    converted, x = kbp.convert(model, rank=rank, include="layer"), sample(model)
    folded = kbp.fold(converted)
    names = {"two": ["layer_basis", "layer"], "one": ["layer"]}[expected]
    assert [x.name for x in folded.layers[1:]] == names
    weights = sum(array(x.kernel).size for x in folded.layers[1:])
    assert weights == min(rank * (12 + 4), 12 * 4)
    expected = outputs(converted, x)
    assert relative_difference(expected, outputs(folded, x)) <= TOLERANCE


@pytest.mark.parametrize("make", [plain, separable, nested])
def test_masked_pruned_and_folded_are_equal(make):
    converted = kbp.convert(randomize(make()))
    mask_half(converted)
    x = sample(converted)
    masked = outputs(converted, x)
    for folded in (kbp.fold(converted), kbp.fold(kbp.prune(converted))):
        assert relative_difference(masked, outputs(folded, x)) <= TOLERANCE
        assert all(type(x).__module__.startswith("keras.") for x in folded.layers)
        assert all(x.trainable for x in folded.layers if "block" in x.name)


def test_activations_and_biases_come_along():
    model = randomize(dense())
    converted, x = kbp.convert(model, include=layers.Dense), sample(model)
    folded = kbp.fold(converted)
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= TOLERANCE
    for name, activation in (
        ("wide", "relu"),
        ("narrow", "linear"),
        ("head", "softmax"),
    ):
        assert folded.get_layer(name).activation is keras.activations.get(activation)
    # Bare but for the normalization that was folded into it.
    assert folded.get_layer("wide").use_bias
    assert not folded.get_layer("narrow").use_bias


def test_an_ordinary_model_is_cloned():
    model = randomize(plain())
    folded, x = kbp.fold(model), sample(model)
    assert kinds(folded) == ["Conv2D", "Conv2D", "Conv2D", "ReLU", "Flatten", "Dense"]
    assert relative_difference(outputs(model, x), outputs(folded, x)) <= TOLERANCE
    assert not {id(v) for v in model.variables} & {id(v) for v in folded.variables}
    assert not folded.compiled
    assert all(v.trainable for v in folded.variables)


def test_a_folded_model_can_be_trained():
    converted = kbp.convert(randomize(plain()))
    mask_half(converted)
    folded, x = kbp.fold(converted), sample(converted, batch=8)
    folded.compile(keras.optimizers.Adam(0.01), "mse")
    losses = [folded.train_on_batch(x, np.zeros((8, 4))) for _ in range(3)]
    assert losses[2] < losses[0]


def test_subclassed_models_are_refused():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="Functional or Sequential.*type Subclassed"):
        kbp.fold(Subclassed())


ALONE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "keras_basisprune":
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
import keras
import numpy as np

try:
    import keras_basisprune
except ImportError:
    model = keras.saving.load_model("small.keras")
    np.save("outputs.npy", model(np.load("inputs.npy"), training=False))
"""


def test_a_folded_file_loads_where_this_package_cannot_be_imported(tmp_path):
    model = randomize(plain())
    converted, x = kbp.convert(model), sample(model)
    mask_half(converted)
    folded = kbp.fold(kbp.prune(converted))
    folded.save(tmp_path / "small.keras")
    np.save(tmp_path / "inputs.npy", x)
    alone = [sys.executable, "-I", "-c", ALONE]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    subprocess.run(
        alone, cwd=tmp_path, check=True, env=environment, capture_output=True
    )
    assert identical(outputs(folded, x), [np.load(tmp_path / "outputs.npy")])
