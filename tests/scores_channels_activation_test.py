import keras
import numpy as np
import pytest
from keras import layers, ops
from models import array, identical, randomize
from small_channels import images, of_groups, small

import keras_basisprune as kbp
from keras_basisprune.scores import channels

ENDS = {"a": "a_relu", "b": "b", "c": "c", "d": "d_swish"}


def means(model, x, ends):
    """Mean absolute outputs of layers, by a model of all of them."""
    read = {name: model.get_layer(end).output for name, end in ends.items()}
    found = keras.Model(model.input, read)(x)
    return {
        name: np.abs(array(output).astype(np.float64)).mean(
            axis=tuple(range(len(output.shape) - 1))
        )
        for name, output in found.items()
    }


@pytest.mark.parametrize("aggregate", ["sum", "mean", "max"])
def test_against_numpy(aggregate):
    model = small()
    x, _ = images(10)
    wanted = of_groups(
        kbp.graph.channel_groups(model), means(model, x, ENDS), aggregate
    )
    found = channels.activation(model, x, aggregate=aggregate)
    assert found.dtype == np.float64
    assert np.isfinite(found).sum() == 7
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_by_hand():
    """Activations 1, -2 and 0 at one position, 3, 2 and 0 at the other."""
    inputs = keras.Input((2, 3))
    x = layers.Conv1D(3, 1, use_bias=False, name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalMaxPooling1D()(x)))
    model.get_layer("conv").kernel.assign(np.eye(3)[None])
    data = np.array([[[1, -2, 0], [3, 2, 0]]], "float32")
    found = channels.activation(model, data)
    of = kbp.graph.channel_groups(model).layers["conv"]
    np.testing.assert_allclose(found[of], [2, 2, 0], atol=1e-7)


@pytest.mark.parametrize("normalize", ["mean", "max"])
def test_normalize(normalize):
    model = small()
    x, _ = images(5)
    members = {
        name: scores / getattr(np, normalize)(scores)
        for name, scores in means(model, x, ENDS).items()
    }
    wanted = of_groups(kbp.graph.channel_groups(model), members)
    found = channels.activation(model, x, normalize=normalize)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
def test_does_not_depend_on_the_batch_size(batch_size):
    model = small()
    x, _ = images(10)
    wanted = channels.activation(model, x)
    found = channels.activation(model, x, batch_size=batch_size)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_takes_data_with_labels_and_data_sets():
    import tensorflow as tf

    model = small()
    x, y = images(10)
    wanted = channels.activation(model, x)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    for data in ((x, y), dataset, {model.inputs[0].name: x}):
        np.testing.assert_allclose(channels.activation(model, data), wanted, rtol=1e-5)


def test_functions_of_keras_ops_count_as_activations():
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(3, 2, name="conv")(inputs)
    read = ops.relu(x)
    x = layers.GlobalAveragePooling2D()(read)
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    probe = keras.Model(inputs, read)
    x = np.random.default_rng(0).normal(size=(4, 5, 5, 2)).astype("float32")
    wanted = array(probe(x)).mean(axis=(0, 1, 2))
    groups = kbp.graph.channel_groups(model)
    found = channels.activation(model, x)[groups.layers["conv"]]
    free = groups.prunable("conv")
    np.testing.assert_allclose(found[free], wanted[free], rtol=1e-5)
    assert np.isinf(found[~free]).all()


def test_what_two_layers_read_is_taken_as_it_is():
    """The convolution is read by the activation and by the sum."""
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(3, 2, name="conv")(inputs)
    x = layers.Add()([x, layers.ReLU()(x)])
    x = layers.GlobalAveragePooling2D()(x)
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    x = np.random.default_rng(0).normal(size=(4, 5, 5, 2)).astype("float32")
    wanted = means(model, x, {"conv": "conv"})["conv"]
    found = channels.activation(model, x)
    np.testing.assert_allclose(
        found[kbp.graph.channel_groups(model).layers["conv"]], wanted, rtol=1e-5
    )


def test_a_layer_called_twice_counts_once_by_its_mean():
    a, b = keras.Input((4, 2), name="one"), keras.Input((4, 2), name="two")
    conv = layers.Conv1D(3, 1, name="conv")
    outputs = [conv(a), conv(b)]
    x = layers.GlobalMaxPooling1D()(layers.Concatenate(axis=1)(outputs))
    model = randomize(keras.Model([a, b], layers.Dense(1)(x)))
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(6, 4, 2)).astype("float32") for _ in range(2)]
    both = [np.abs(array(conv(x))).mean(axis=(0, 1)) for x in data]
    found = channels.activation(model, data)[
        kbp.graph.channel_groups(model).layers["conv"]
    ]
    np.testing.assert_allclose(found, np.mean(both, axis=0), rtol=1e-5)


def test_sizes_that_are_not_known_and_half_precision():
    inputs = keras.Input((None, None, 2))
    x = layers.Conv2D(3, 3, name="conv", dtype="mixed_float16")(inputs)
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    x, _ = images(4)
    wanted = means(model, 100 * x, {"conv": "conv"})["conv"]
    found = channels.activation(model, 100 * x)
    of = kbp.graph.channel_groups(model).layers["conv"]
    np.testing.assert_allclose(found[of], wanted, rtol=1e-3)


def test_the_given_model_stays_as_it_is():
    model = small()
    before = model.get_weights()
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    found = channels.activation(model, images(4)[0])
    assert np.isfinite(found).any()
    assert identical(model.get_weights(), before)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


def test_refuses_bad_arguments():
    model, (x, _) = small(), images(4)
    with pytest.raises(ValueError, match="`aggregate` to be 'sum', 'mean' or 'max'"):
        channels.activation(model, x, aggregate=None)
    with pytest.raises(ValueError, match="`normalize` to be None, 'mean' or 'max'"):
        channels.activation(model, x, normalize=True)
    with pytest.raises(ValueError, match="`batch_size` to be a positive integer"):
        channels.activation(model, x, batch_size=2.0)
    with pytest.raises(ValueError, match="Expected `data` to hold arrays of the"):
        channels.activation(model, x[..., :1])
    with pytest.raises(ValueError, match="Expected `data` to hold finite numbers"):
        channels.activation(model, x * np.nan)
    with pytest.raises(ValueError, match="at least one sample"):
        channels.activation(model, x[:0])
    kernel = array(model.get_layer("c").kernel)
    model.get_layer("c").kernel.assign(np.full(kernel.shape, 3e38))  # overflows
    with pytest.raises(ValueError, match="finite scores of the channels of `c`"):
        channels.activation(model, x)
