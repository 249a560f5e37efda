"""Holds that closed gates at the places that are found are as good as pruning."""

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import conv_block, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.channel_places import channel_places
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import ChannelGate
from keras_basisprune.methods.channel_gates import channel_gates


def places(model):
    """Names of layers whose channels are weighed, and of those behind which."""
    traced = trace(model)
    channels = channel_map(traced)
    found = channel_places(traced, channels, groups_of(traced, channels))
    return {place.name: [call.op.name for call in place.calls] for place in found}


def head(inputs, x):
    x = keras.layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, keras.layers.Dense(3, name="head")(x)))


def excited():
    """Squeeze and excitation, read before the product as well."""
    inputs = keras.Input((6, 6, 3))
    x = conv_block(inputs, 8, "conv")
    s = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = keras.layers.Conv2D(4, 1, activation="relu", name="squeeze")(s)
    s = keras.layers.Conv2D(8, 1, activation="sigmoid", name="excite")(s)
    x = keras.layers.Multiply(name="product")([x, s])
    return head(inputs, conv_block(x, 6, "last"))


def reused():
    """One activation layer for tensors of several widths."""
    inputs, relu = keras.Input((6, 6, 3)), keras.layers.ReLU(name="relu")
    x = relu(keras.layers.Conv2D(8, 3, name="a")(inputs))
    x = relu(keras.layers.Conv2D(5, 3, name="b")(x))
    return head(inputs, x)


def first():
    """Channels first."""
    inputs = keras.Input((3, 6, 6))
    x = keras.layers.Permute((2, 3, 1))(inputs)
    x = keras.layers.Conv2D(7, 3, activation="relu", name="a")(x)
    x = keras.layers.MaxPooling2D()(x)
    return head(inputs, keras.layers.Conv2D(5, 2, activation="elu", name="b")(x))


def flat():
    """Dense layers behind each other, and `Flatten`."""
    inputs = keras.Input((5, 5, 2))
    x = keras.layers.SeparableConv2D(6, 2, activation="gelu", name="a")(inputs)
    x = keras.layers.Dropout(0.5)(keras.layers.AveragePooling2D(2)(x))
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(9, activation="relu", name="hidden")(x)
    return randomize(keras.Model(inputs, keras.layers.Dense(3, name="head")(x)))


OTHERS = {"excited": excited, "reused": reused, "first": first, "flat": flat}


@pytest.mark.parametrize("name", OTHERS)
def test_closed_gates_are_as_good_as_pruned_channels(name):
    model = OTHERS[name]()
    x, gated = sample(model, batch=4), channel_gates(model)
    assert relative_difference(outputs(model, x), outputs(gated, x)) <= 1e-6
    rng = np.random.default_rng(0)
    gates = [layer for layer in gated.layers if isinstance(layer, ChannelGate)]
    for gate in gates:
        logits = rng.normal(size=gate.scale.shape)
        gate.scale.assign(np.where(np.arange(len(logits)) == 1, 1.0, logits))
    closed = outputs(gated, x)
    assert relative_difference(outputs(model, x), closed) > 1e-3
    plan = kbp.Plan.from_masks(gated)
    for small in (kbp.fold(kbp.prune(gated, plan)), kbp.prune(model, plan)):
        assert relative_difference(closed, outputs(small, x)) <= 1e-5
        assert not any(isinstance(layer, ChannelGate) for layer in small.layers)


def test_behind_activations_at_each_place_where_channels_are_read():
    assert places(excited()) == {
        "conv": ["conv_relu", "product"],
        "squeeze": ["squeeze"],
        "last": ["last_relu"],
    }
    assert places(reused()) == {"a": ["relu"], "b": ["relu"]}
    assert places(first()) == {"a": ["a"], "b": ["b"]}
    assert places(flat()) == {"a": ["a"], "hidden": ["hidden"]}
    found = places(FAMILIES["residual"]())
    assert list(found) == ["stem", "first"]
    assert found["stem"][0] == "stem_relu"
    assert len(found["stem"]) == 2  # and behind the sum
    ((depthwise, _),) = (tuple(places(FAMILIES["depthwise"]()).items()),)
    assert depthwise[0] == "stem"


def test_what_has_no_place():
    inputs = keras.Input((6, 6, 4))
    x = conv_block(inputs, 4, "a")
    x = keras.layers.Concatenate()([x, conv_block(x, 4, "b")])
    x = keras.layers.BatchNormalization(name="joined")(x)  # makes something of zeros
    x = conv_block(x, 6, "c")
    x = conv_block(keras.layers.LayerNormalization(name="across")(x), 8, "d")
    x = conv_block(x, 8, "e", groups=4)  # ties channels of one layer
    assert places(head(inputs, conv_block(x, 5, "f"))) == {"f": ["f_relu"]}
    with pytest.raises(ValueError, match="Expected `model` to have channels that may"):
        x = keras.layers.Conv2D(3, 3)(inputs)
        channel_gates(keras.Model(inputs, x))
