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
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.methods.channel_gates import channel_gates


def places(model):
    """What is weighed, and the names of the layers behind which."""
    traced = trace(model)
    channels, made = channel_map(traced), traced.producers()
    found = {}
    for place in channel_places(traced, channels, groups_of(traced, channels)):
        name = made[id(place.tensor)].op.name
        found.setdefault(" ".join(map(str, place.parts)), []).append(name)
    return found


def gates_of(model):
    return [part.layer for part in trained_masks(trace(model)).values()]


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


def tiramisu():
    """What is joined on the way down is joined to others on the way up."""
    inputs = keras.Input((8, 8, 3))

    def grown(x, filters, name):
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return keras.layers.Conv2D(filters, 3, padding="same", name=name)(x)

    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    skip = keras.layers.Concatenate(name="skip")([x, grown(x, 3, "a")])
    x = keras.layers.MaxPooling2D()(grown(skip, 5, "down"))
    up = keras.layers.Conv2DTranspose(6, 2, strides=2, name="up")(grown(x, 4, "low"))
    x = keras.layers.Concatenate(name="join")([up, skip])
    x = keras.layers.Concatenate(name="last")([x, grown(x, 2, "b")])
    return head(inputs, grown(x, 5, "c"))


def unlike():
    """No concatenation has all that the others have; one has the input too."""
    inputs = keras.Input((6, 6, 3))
    a, b, c = (
        keras.layers.Conv2D(n, 3, padding="same", name=name)(inputs)
        for n, name in ((4, "a"), (3, "b"), (5, "c"))
    )
    read = []
    for number, tensors in enumerate(((a, b), (b, c), (inputs, a, b)), 1):
        x = keras.layers.Concatenate(name=f"join{number}")(tensors)
        x = keras.layers.BatchNormalization(name=f"bn{number}")(x)
        read.append(
            conv_block(keras.layers.ReLU(name=f"relu{number}")(x), 4, f"r{number}")
        )
    return head(inputs, keras.layers.Add(name="sum")(read))


def tied():
    """A concatenation that has channels twice, since they are summed too."""
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    y = keras.layers.Conv2D(5, 3, padding="same", name="b")(inputs)
    z = keras.layers.Conv2D(4, 3, padding="same", name="tied")(inputs)
    x = keras.layers.Concatenate(name="join")([x, y, keras.layers.Add()([x, z])])
    return head(inputs, conv_block(keras.layers.ReLU(name="relu")(x), 6, "last"))


def read_otherwise():
    """What reads concatenations has no kernel that factors could be folded into."""
    inputs = keras.Input((9, 3))
    x = keras.layers.Conv1D(4, 3, name="a")(inputs)
    y = keras.layers.Conv1D(3, 3, name="b")(inputs)
    x = keras.layers.Concatenate(name="join")([x, y])
    x = keras.layers.BatchNormalization(name="bn1")(x)
    z = keras.layers.BatchNormalization(name="bn2")(y)
    x = keras.layers.LSTM(5, name="lstm")(x)
    z = keras.layers.LSTM(5, name="other")(z)
    x = keras.layers.Concatenate(name="both")([x, z])
    return randomize(keras.Model(inputs, keras.layers.Dense(3, name="head")(x)))


def joined_first():
    """Channels first, joined and then normalized."""
    inputs = keras.Input((3, 6, 6))
    first = {"data_format": "channels_first"}
    a, b = (
        keras.layers.Permute((3, 1, 2))(
            keras.layers.Conv2D(n, 3, padding="same", name=name)(
                keras.layers.Permute((2, 3, 1))(inputs)
            )
        )
        for n, name in ((4, "a"), (3, "b"))
    )
    x = keras.layers.Concatenate(1, name="join")([a, b])
    x = keras.layers.BatchNormalization(1, name="bn")(x)
    y = keras.layers.BatchNormalization(1, name="bn2")(a)
    x, y = (keras.layers.GlobalAveragePooling2D(**first)(t) for t in (x, y))
    x = keras.layers.Concatenate()([x, y])
    return randomize(keras.Model(inputs, keras.layers.Dense(3, name="head")(x)))


OTHERS = {
    **{"excited": excited, "reused": reused, "first": first, "flat": flat},
    **{"tiramisu": tiramisu, "unlike": unlike, "tied": tied},
    **{"read_otherwise": read_otherwise, "joined_first": joined_first},
}


@pytest.mark.parametrize("name", OTHERS)
def test_closed_gates_are_as_good_as_pruned_channels(name):
    model = OTHERS[name]()
    x, gated = sample(model, batch=4), channel_gates(model)
    assert relative_difference(outputs(model, x), outputs(gated, x)) <= 1e-6
    rng = np.random.default_rng(0)
    for gate in gates_of(gated):
        logits = rng.normal(size=gate.scale.shape)
        gate.scale.assign(np.where(np.arange(len(logits)) == 1, 1.0, logits))
    closed = outputs(gated, x)
    assert relative_difference(outputs(model, x), closed) > 1e-3
    plan = kbp.Plan.from_masks(gated)
    for small in (kbp.fold(kbp.prune(gated, plan)), kbp.prune(model, plan)):
        assert relative_difference(closed, outputs(small, x)) <= 1e-5
        assert not gates_of(small)


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


def test_concatenations_are_weighed_where_they_are_activated():
    assert places(tiramisu()) == {
        "stem": ["a_relu"],
        "stem a": ["down_relu"],
        "down": ["low_relu"],
        "low": ["low"],
        "up stem a": ["b_relu"],
        "up stem a b": ["c_relu"],
        "c": ["c"],
    }
    assert places(unlike()) == {
        "a b": ["relu1"],
        "b c": ["relu2"],
        "3 a b": ["relu3"],
        "r3": ["sum"],  # which is the first of them in the graph
    }
    assert places(tied()) == {"a b a": ["relu"], "last": ["last_relu"]}


def test_what_has_no_place():
    inputs = keras.Input((6, 6, 4))
    x = conv_block(inputs, 4, "a")
    x = keras.layers.Concatenate()([x, conv_block(x, 4, "b")])
    x = keras.layers.BatchNormalization(name="joined")(x)
    x = conv_block(x, 6, "c")
    x = conv_block(keras.layers.LayerNormalization(name="across")(x), 8, "d")
    x = conv_block(x, 8, "e", groups=4)  # ties channels of one layer
    found = places(head(inputs, conv_block(x, 5, "f")))
    assert found == {"a": ["a_relu"], "a b": ["joined"], "f": ["f_relu"]}
    with pytest.raises(ValueError, match="Expected `model` to have channels that may"):
        x = keras.layers.Conv2D(3, 3)(inputs)
        channel_gates(keras.Model(inputs, x))
