import keras
import numpy as np
import pytest
from keras import layers
from models import array, identical, randomize, sample
from nested_models import with_an_unread_output
from small_channels import LOSS, images, of_groups, small

import keras_basisprune as kbp
from keras_basisprune.scores import channels


def explicit(model, x, y, batch_size):
    """`(sum of activation * gradient)^2` per channel, by TensorFlow's own gradients."""
    import tensorflow as tf

    sums, steps = {}, 0
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        with tf.GradientTape() as tape:
            probabilities, activations = forward(model, tf.constant(x[part]))
            losses = keras.losses.sparse_categorical_crossentropy(
                y[part], probabilities
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, activations)
        for name, activation in activations.items():
            product = array(activation * gradients[name]).astype(np.float64)
            sums[name] = sums.get(name, 0) + product.sum(axis=(0, 1, 2)) ** 2
        steps += 1
    return {name: total / steps for name, total in sums.items()}


def forward(model, x):
    """Outputs of the network `small` in inference, and what its layers deliver.

    That is what stands behind the normalization and activation of each.
    """
    layer = model.get_layer
    a = layer("a_relu")(layer("a_bn")(layer("a")(x), training=False))
    b = layer("b")(a)
    x = layer("sum")([a, b])
    d = layer("d_swish")(layer("d_bn")(layer("d")(x), training=False))
    c = layer("c")(x)
    x = keras.ops.mean(layer("both")([d, c]), axis=(1, 2))
    return layer("head")(x), {"a": a, "b": b, "c": c, "d": d}


@pytest.mark.parametrize("aggregate", ["sum", "mean", "max"])
def test_against_explicit_gradients(aggregate):
    model = small()
    x, y = images(20)
    found = channels.taylor(model, (x, y), loss=LOSS, aggregate=aggregate, batch_size=8)
    members = explicit(model, x, y, 8)  # batches of 8, 8 and 4
    wanted = of_groups(kbp.graph.channel_groups(model), members, aggregate)
    assert found.dtype == np.float64
    assert np.isfinite(wanted).sum() == 7
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_normalize():
    model = small()
    x, y = images(8)
    members = explicit(model, x, y, 8)
    members = {name: scores / scores.mean() for name, scores in members.items()}
    found = channels.taylor(model, (x, y), loss=LOSS, normalize="mean")
    wanted = of_groups(kbp.graph.channel_groups(model), members)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_estimates_what_a_small_change_does():
    """One sample, a gate of 0.999: the loss changes as the root of the score says."""
    model = small()
    x, y = images(1)
    found = channels.taylor(model, (x, y), loss=LOSS)
    groups = kbp.graph.channel_groups(model)

    def loss():
        return -np.log(array(model(x)).astype(np.float64)[0, y[0]])

    before, layer = loss(), model.get_layer("c")
    for channel in range(4):
        weights = [array(w) for w in layer.weights]
        factor = np.ones(4)
        factor[channel] = 0.9
        layer.set_weights([w * factor for w in weights])  # kernel and bias
        change = (before - loss()) / 0.1
        layer.set_weights(weights)
        np.testing.assert_allclose(
            np.sqrt(found[groups.layers["c"][channel]]), abs(change), rtol=0.05
        )


def test_takes_what_fit_takes():
    import tensorflow as tf

    model = small()
    x, y = images(16)
    wanted = channels.taylor(model, (x, y), loss=LOSS, batch_size=8)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    found = channels.taylor(model, dataset, loss=keras.losses.get(LOSS))
    weighted = channels.taylor(model, (x, y, np.full(16, 2.0)), loss=LOSS, batch_size=8)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(weighted, 4 * wanted, rtol=1e-4)


def test_the_given_model_stays_as_it_is():
    model = small()
    model.get_layer("a").trainable = False
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, LOSS)
    before = model.get_weights()
    flags = [weight.trainable for weight in model.weights]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    found = channels.taylor(model, images(4), loss=LOSS)
    assert np.isfinite(found[kbp.graph.channel_groups(model).layers["a"]]).all()
    assert identical(model.get_weights(), before)
    assert [weight.trainable for weight in model.weights] == flags
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert model.optimizer is optimizer
    assert not optimizer.built


def test_a_layer_called_twice_has_one_gate_per_channel():
    """Both calls' gradients add up before they are squared."""
    import tensorflow as tf

    inputs = keras.Input((3,))
    shared = layers.Dense(3, activation="tanh", name="shared")
    x = shared(shared(layers.Dense(3, name="first")(inputs)))
    model = randomize(keras.Model(inputs, layers.Dense(1, name="head")(x)))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    y = np.ones((5, 1), "float32")
    found = channels.taylor(model, (x, y), loss="mse")
    gate, first = tf.Variable(tf.ones(3)), tf.Variable(tf.ones(3))
    with tf.GradientTape() as tape:
        values = model.get_layer("first")(x) * first
        values = shared(shared(values) * gate) * gate
        loss = tf.reduce_mean((model.get_layer("head")(values) - y) ** 2)
    wanted = sum(g.numpy() ** 2 for g in tape.gradient(loss, [gate, first]))
    of = kbp.graph.channel_groups(model).layers["shared"]
    np.testing.assert_allclose(found[of], wanted, rtol=1e-4)


def test_a_nested_model_scores_as_the_plain_one():
    x, y = images(6)
    model = small()
    inputs = keras.Input((6, 6, 2))
    outer = keras.Model(inputs, model(inputs))
    wanted = channels.taylor(model, (x, y), loss=LOSS)
    found = channels.taylor(outer, (x, y), loss=LOSS)
    groups, inner = kbp.graph.channel_groups(outer), kbp.graph.channel_groups(model)
    for name in "abcd":
        np.testing.assert_allclose(
            found[groups.layers[name]], wanted[inner.layers[name]], rtol=1e-5
        )


@pytest.mark.parametrize("criterion", ["taylor", "activation"])
def test_channels_first_scores_as_channels_last(criterion):
    def build(shape, data_format):
        x = inputs = keras.Input(shape)
        x = layers.Conv2D(3, 2, data_format=data_format, name="conv")(x)
        x = layers.BatchNormalization(1 if shape[0] == 2 else -1)(x)
        x = layers.GlobalAveragePooling2D(data_format=data_format)(x)
        return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))

    last = randomize(build((6, 6, 2), "channels_last"))
    first = build((2, 6, 6), "channels_first")
    first.set_weights(last.get_weights())
    x, y = images(6)
    found = []
    for model, samples in ((last, x), (first, np.moveaxis(x, -1, 1))):
        if criterion == "taylor":
            scores = channels.taylor(model, (samples, y), loss=LOSS)
        else:
            scores = channels.activation(model, samples)
        found.append(scores[kbp.graph.channel_groups(model).layers["conv"]])
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = small("mixed_float16")
        data = images(64)
        found = channels.taylor(half, data, loss=LOSS, batch_size=4)
    finally:
        keras.config.set_dtype_policy("float32")
    full = small()
    full.set_weights(half.get_weights())
    wanted = channels.taylor(full, data, loss=LOSS, batch_size=4)
    np.testing.assert_allclose(found, wanted, rtol=0.1, atol=1e-5)


def test_a_converted_model():
    model = small()
    converted = kbp.convert(model)
    found = channels.taylor(converted, images(8), loss=LOSS)
    groups = kbp.graph.channel_groups(converted)
    wanted = channels.taylor(model, images(8), loss=LOSS)
    np.testing.assert_allclose(
        found[groups.layers["c_scaling"]],
        wanted[kbp.graph.channel_groups(model).layers["c"]],
        rtol=1e-3,
    )
    assert np.isinf(found[groups.layers["c_basis"]]).all()


def test_without_channels_that_may_leave():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    data = np.zeros((2, 3)), np.zeros((2, 2))
    found = channels.taylor(model, data, loss="mse")
    assert found.shape == (len(kbp.graph.channel_groups(model)),)
    assert np.isinf(found).all()


def test_refuses_bad_arguments():
    model, data = small(), images(4)
    with pytest.raises(ValueError, match="`aggregate` to be 'sum', 'mean' or 'max'"):
        channels.taylor(model, data, loss=LOSS, aggregate="product")
    with pytest.raises(ValueError, match="`normalize` to be None, 'mean' or 'max'"):
        channels.taylor(model, data, loss=LOSS, normalize="sum")
    with pytest.raises(ValueError, match="`batch_size` to be a positive integer"):
        channels.taylor(model, data, loss=LOSS, batch_size=0)
    with pytest.raises(ValueError, match="Expected `data` to give finite gradients"):
        channels.taylor(model, (data[0] * np.nan, data[1]), loss=LOSS)


def test_what_no_output_follows_from_has_no_say():
    model = with_an_unread_output()
    x, y = sample(model, batch=20), np.random.default_rng(0).normal(size=(20, 3))
    scores = [
        channels.taylor(m, (x, y), loss="mse")
        for m in (model, kbp.graph.flatten(model))
    ]
    assert np.isfinite(scores[0]).sum() == 8 + 6 + 6
    np.testing.assert_allclose(*scores, rtol=1e-4)
