"""Batches of images of several sizes, for models that take images of any size.

A model of 1 x 1 convolutions on images does what a model of dense layers does on their
pixels: so what data say of the one is known from the other.
"""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, conv_block, outputs, randomize, relative_difference

import keras_basisprune as kbp
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.sampled_positions import sampled_positions
from keras_basisprune.methods import _fitted_call

SMALL = ((5, 6), (4, 7), (1, 9))  # no more positions than are looked at in each image
LARGE = ((40, 40), (24, 32), (18, 50))


def batches(sizes, counts=(8, 7, 3), seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0.3, 1.0, (count, *size, 3)).astype("float32")
        for count, size in zip(counts, sizes, strict=True)
    ]


def pixels(data):
    return np.concatenate([batch.reshape(-1, 3) for batch in data])


def forms(data):
    """The same samples in all forms that a caller may have them in."""
    return {
        "batches": data,
        "other order": data[::-1],
        "single images": [image for batch in data for image in batch],
        "with labels": [(batch, np.zeros(len(batch))) for batch in data],
    }


def pointwise(size):
    """Three layers, on pixels (`size` is empty) or on images."""
    x = inputs = keras.Input((*size, 3))
    for name, width in (("a", 8), ("b", 7), ("c", 4)):
        own = {"activation": None if name == "c" else "relu", "name": name}
        x = layers.Conv2D(width, 1, **own)(x) if size else layers.Dense(width, **own)(x)
    return keras.Model(inputs, x)


@pytest.fixture(scope="module")
def pair():
    """A model on images, and the one on pixels with the same weights."""
    image, pixel = pointwise((None, None)), randomize(pointwise(()))
    for one, other in zip(image.weights, pixel.weights, strict=True):
        one.assign(array(other).reshape(one.shape))
    return image, pixel


def equal(one, other, tolerance=2e-5):
    """Whether two models have the same weights, up to their shape."""
    assert [w.name for w in one.weights] == [w.name for w in other.weights]
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(
            array(a).ravel(), array(b).ravel(), rtol=0, atol=tolerance, err_msg=a.path
        )


@pytest.mark.parametrize("form", forms([]))
def test_compensation_is_that_of_the_pixels(pair, form):
    data = batches(SMALL)
    scores = kbp.scores.channels.l1_norm(pair[0])
    plan = kbp.select_channels(
        pair[0], scores=scores, keep=0.5, cost="params", scope="global"
    )
    image = kbp.compensate(pair[0], plan, forms(data)[form], verbose=0)
    pixel = kbp.compensate(pair[1], plan, pixels(data), verbose=0)
    equal(image, pixel)
    assert image.count_params() < pair[0].count_params()


@pytest.mark.parametrize("form", forms([]))
def test_compensated_scores_are_those_of_the_pixels(pair, form):
    data = batches(SMALL)
    image = kbp.scores.channels.compensated(pair[0], forms(data)[form])
    pixel = kbp.scores.channels.compensated(pair[1], pixels(data))
    assert np.isfinite(image).sum() == 15
    np.testing.assert_allclose(image, pixel, rtol=1e-4)


@pytest.mark.parametrize("basis", ["activations", "regression"])
@pytest.mark.parametrize("form", ["batches", "other order", "single images"])
def test_bases_are_those_of_the_pixels(pair, basis, form, monkeypatch):
    # The samples of one are images, those of the other pixels: no folds of the same.
    monkeypatch.setattr(_fitted_call, "FOLDS", 1)
    data = batches(SMALL)
    given = {"rank": 3, "basis": basis, "verbose": 0, "include": "[abc]"}
    image = kbp.convert(pair[0], data=forms(data)[form], **given)
    pixel = kbp.convert(pair[1], data=pixels(data), **given)
    for batch in data:
        made = outputs(image, batch)[0].reshape(-1, 4)
        expected = outputs(pixel, batch.reshape(-1, 3))[0]
        assert relative_difference(expected, made) <= 1e-4
    with pytest.raises(AssertionError):  # they did lose something
        equal(kbp.fold(image), pair[0], 1e-2)


def large():
    x = inputs = keras.Input((None, None, 3))
    x = conv_block(x, 8, "a")
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="b")(x)
    x = layers.Add(name="sum")([x, y])
    x = layers.SeparableConv2D(10, 3, strides=2, name="c", activation="relu")(x)
    x = layers.Conv2D(6, 3, dilation_rate=2, activation="relu", name="d")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return randomize(keras.Model(inputs, layers.Dense(3, name="top")(x)))


def test_large_maps_are_looked_at_in_places_of_their_own():
    model, data = large(), batches(LARGE)
    converted = kbp.convert(model, data=data, verbose=0)
    for batch in data:
        before = outputs(model, batch)
        assert relative_difference(before, outputs(converted, batch)) <= 1e-4
    linear = keras.Model(model.input, model.get_layer("a").output)
    rows = []
    for batch in data:
        made = outputs(linear, batch)[0].reshape(len(batch), -1, 8)
        places = sampled_positions(made.shape[1], position_jitter([batch], 64))
        rows += [image[at] for image, at in zip(made, places, strict=True)]
    # The mean that is kept is that of 64 places in each image, whatever its size.
    np.testing.assert_allclose(
        array(converted.get_layer("a_scaling").bias),
        np.concatenate(rows).astype(np.float64).mean(0),
        atol=1e-5,
    )


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_what_is_a_linear_combination_costs_nothing_at_any_size(order):
    model, data = large(), batches(LARGE)[order]
    kernel, bias = (array(w) for w in model.get_layer("d").weights)
    kernel[..., 5], bias[5] = kernel[..., 1], bias[1]
    kernel[..., 4], bias[4] = 2 * kernel[..., 3], 2 * bias[3]
    model.get_layer("d").set_weights([kernel, bias])
    pointwise_kernel = array(model.get_layer("c").pointwise_kernel)
    pointwise_kernel[..., 9] = pointwise_kernel[..., 2]
    model.get_layer("c").pointwise_kernel.assign(pointwise_kernel)
    bias = array(model.get_layer("c").bias)
    model.get_layer("c").bias.assign(np.append(bias[:9], bias[2]))
    plan = kbp.Plan(
        channels={
            "c": kbp.plans.Kept(tuple(range(9)), 10),
            "d": kbp.plans.Kept(tuple(range(4)), 6),
        }
    )
    small = kbp.compensate(model, plan, data, ridge=1e-9, verbose=0)
    pruned = kbp.prune(model, plan)
    for batch in data:
        before = outputs(model, batch)
        assert relative_difference(before, outputs(pruned, batch)) > 0.05
        assert relative_difference(before, outputs(small, batch)) <= 1e-3


def test_the_regression_makes_up_for_more_than_the_activations_do():
    model, data, fresh = large(), batches(LARGE), batches(LARGE, seed=1)
    model = keras.Model(model.input, model.get_layer("d").output)

    def lost(basis):
        made = kbp.convert(model, rank=3, basis=basis, data=data, verbose=0)
        pairs = [(outputs(model, x)[0], outputs(made, x)[0]) for x in fresh]
        return np.array([((a - b) ** 2).mean() for a, b in pairs])

    assert (lost("regression") < 0.97 * lost("activations")).all()  # at each size


def test_each_image_counts_the_same_in_mean_activations():
    model, data = large(), batches(LARGE)
    scores = kbp.scores.channels.activation(model, data, batch_size=4)
    probe = keras.Model(model.input, model.get_layer("d").output)
    means = [abs(outputs(probe, batch)[0]).mean((1, 2)) for batch in data]
    of = kbp.graph.channel_groups(model).layers["d"]
    np.testing.assert_allclose(scores[of], np.concatenate(means).mean(0), rtol=1e-4)


def test_statistics_are_those_of_all_positions():
    model, data = large(), batches(LARGE)
    small = kbp.surgery.recalibrate(model, data, verbose=0)
    probe = keras.Model(model.input, model.get_layer("a").output)
    made = np.concatenate([outputs(probe, x)[0].reshape(-1, 8) for x in data])
    norm = small.get_layer("a_bn")
    np.testing.assert_allclose(array(norm.moving_mean), made.mean(0), atol=1e-5)
    np.testing.assert_allclose(array(norm.moving_variance), made.var(0), rtol=1e-4)


def test_training_after_pruning_asks_for_one_size():
    x = inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    before = model.get_weights()
    images = [batch[0] for batch in batches(LARGE)]
    with pytest.raises(ValueError, match="`train` to hold images of one shape"):
        kbp.recover(model, (images, np.array([0, 1, 1])))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
