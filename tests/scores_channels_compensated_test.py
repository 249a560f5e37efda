"""compensated against least squares by hand, and what it is for."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, conv_block, outputs, sample
from nested_models import NESTED

import keras_basisprune as kbp


def drawn(shape, count=60, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("f")


def two_dense(activation="tanh"):
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation=activation, name="made")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="read")(x))


def remains(features, weights, kept):
    """The share of the outputs' variance that the kept features can't give."""
    features = features - features.mean(0)
    wanted = features @ weights
    left = wanted
    if len(kept):
        found = np.linalg.lstsq(features[:, kept], wanted, rcond=None)[0]
        left = wanted - features[:, kept] @ found
    return (left**2).sum() / (wanted**2).sum()


def test_scores_are_what_least_squares_leaves():
    model, x = two_dense(), drawn((6,), 300)
    features = outputs(keras.Model(model.inputs, model.layers[1].output), x)[0]
    features = features.astype(np.float64)
    weights = array(model.get_layer("read").kernel).astype(np.float64)
    scores = kbp.scores.channels.compensated(model, x, ridge=1e-10)
    mine = scores[kbp.graph.channel_groups(model).layers["made"]]
    kept = list(range(5))
    for channel in np.argsort(mine):
        losses = {
            c: remains(features, weights, [k for k in kept if k != c]) for c in kept
        }
        assert min(losses, key=losses.get) == channel
        np.testing.assert_allclose(mine[channel], losses[channel], rtol=1e-4)
        kept.remove(channel)


def test_one_of_two_twins_is_free_and_the_other_is_not():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="made")(inputs)
    model = keras.Model(inputs, layers.Conv2D(4, 3, name="read")(x))
    kernel = array(model.get_layer("made").kernel)
    kernel[..., 5] = kernel[..., 1]
    model.get_layer("made").kernel.assign(kernel)
    scores = kbp.scores.channels.compensated(model, drawn((8, 8, 3)), ridge=1e-8)
    mine = scores[kbp.graph.channel_groups(model).layers["made"]]
    assert min(mine[1], mine[5]) < 1e-6
    assert max(mine[1], mine[5]) > 1e-2
    assert mine.max() == pytest.approx(1.0, abs=0.01)  # nothing is left


def test_groups_are_summed_over_their_readers_and_ends_stay():
    inputs = keras.Input((8, 8, 3))
    x = conv_block(inputs, 5, "stem")
    y = layers.SeparableConv2D(5, 3, padding="same", name="branch")(x)
    x = layers.Add()([x, y])
    x = layers.Conv2D(4, 1, name="head")(layers.DepthwiseConv2D(3, name="deep")(x))
    model = keras.Model(inputs, x)
    data = drawn((8, 8, 3))
    groups = kbp.graph.channel_groups(model)
    scores = kbp.scores.channels.compensated(model, data)
    assert np.isinf(scores[list(groups.pinned)]).all()
    mine = scores[groups.layers["stem"]]
    assert mine.sum() > 0
    assert 1.0 < mine.max() <= 2.02  # two readers, each of which loses all in the end


def test_neither_batches_nor_order_matter():
    model, x = two_dense("relu"), drawn((6,), 50)
    one = kbp.scores.channels.compensated(model, x)
    other = kbp.scores.channels.compensated(model, x[::-1], batch_size=7)
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_it_keeps_more_than_the_norm_of_the_filters_does():
    inputs = keras.Input((9, 9, 3))
    x = conv_block(conv_block(inputs, 24, "a"), 24, "b")
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(conv_block(x, 6, "c")))
    data = drawn((9, 9, 3), 40)
    found = kbp.scores.channels.compensated(model, data)
    norms = kbp.scores.channels.l1_norm(model, normalize="mean")
    errors = []
    for scores in (found, norms):
        plan = kbp.select_channels(model, scores=scores, keep=0.4, scope="global")
        small = kbp.compensate(model, plan, data, verbose=0)
        errors.append(np.mean((outputs(model, data)[0] - outputs(small, data)[0]) ** 2))
    assert errors[0] < errors[1]


def test_what_is_refused():
    model = two_dense()
    with pytest.raises(ValueError, match="`ridge` to be a positive float.*ridge=0"):
        kbp.scores.channels.compensated(model, drawn((6,)), ridge=0)
    with pytest.raises(ValueError, match="`data` to hold arrays of the shapes"):
        kbp.scores.channels.compensated(model, drawn((4,)))


@pytest.mark.parametrize(
    "kind", ["shared", "one in the other", "with an unread output"]
)
def test_nested_models_score_as_flat_ones(kind):
    model = NESTED[kind]()
    flat, x = kbp.graph.flatten(model), sample(model, batch=40)
    found = []
    for network in (model, flat):
        scores = kbp.scores.channels.compensated(network, x)
        of = kbp.graph.channel_groups(network).layers
        found.append({name: scores[groups] for name, groups in of.items()})
    assert sum(np.isfinite(scores).sum() for scores in found[0].values()) >= 20
    assert found[0].keys() == found[1].keys()
    for name, scores in found[0].items():
        np.testing.assert_allclose(scores, found[1][name], rtol=1e-5, err_msg=name)
