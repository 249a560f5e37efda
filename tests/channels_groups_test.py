"""Which channels are tied."""

import keras
import pytest
from channel_oracle import residual
from keras import layers

import keras_basisprune as kbp


def concatenated():
    x = inputs = keras.Input((6, 6, 3))
    y = layers.Conv2D(2, 1, name="a")(x)
    z = layers.Conv2D(3, 1, name="b")(x)
    x = layers.Concatenate()([y, z, y])
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, name="c")(x))


def squeezed():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    y = layers.Dense(2, name="squeeze")(layers.GlobalAveragePooling2D()(x))
    y = layers.Reshape((1, 1, 4))(layers.Dense(4, name="excite")(y))
    return keras.Model(inputs, layers.Conv2D(2, 1, name="b")(x * y))


def members(model):
    groups = kbp.graph.channel_groups(model)
    free = (g for g in range(len(groups)) if g not in groups.pinned)
    return [groups.members(group) for group in free]


def test_residual_sums_tie():
    assert sorted(members(residual()), key=str) == sorted(
        [
            *({"a": (i,), "bn": (i,), "c": (i,)} for i in range(4)),
            *({"b": (i,)} for i in range(2)),
        ],
        key=str,
    )
    groups = kbp.graph.channel_groups(residual())
    assert not groups.prunable("d").any()
    assert len(groups) == 3 + 4 + 2 + 5
    assert str(groups) == (
        "14 groups of channels, 8 of them stay\n"
        "  3: input of the model\n  5: output of the model"
    )


def test_concatenations_place_side_by_side():
    assert members(concatenated()) == [
        {"a": (0,), "bn": (0, 5)},
        {"a": (1,), "bn": (1, 6)},
        *({"b": (i,), "bn": (2 + i,)} for i in range(3)),
    ]


def test_squeeze_and_excite_ties_what_it_multiplies():
    assert sorted(members(squeezed()), key=str) == sorted(
        [
            *({"a": (i,), "excite": (i,)} for i in range(4)),
            *({"squeeze": (i,)} for i in range(2)),
        ],
        key=str,
    )


def test_flatten_reads_a_channel_at_every_position():
    x = inputs = keras.Input((2, 3, 3))
    x = layers.BatchNormalization(name="bn")(
        layers.Flatten()(layers.Conv2D(2, 1, name="a")(x))
    )
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert members(model) == [
        {"a": (0,), "bn": (0, 2, 4, 6, 8, 10)},
        {"a": (1,), "bn": (1, 3, 5, 7, 9, 11)},
    ]


def test_grouped_convolutions_tie_positions():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    x = layers.Conv2D(6, 1, groups=2, name="b")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    assert members(model) == [
        {"a": (0, 2)},
        {"a": (1, 3)},
        {"b": (0, 3)},
        {"b": (1, 4)},
        {"b": (2, 5)},
    ]


@pytest.mark.parametrize(
    ("layer", "made"),
    [(layers.Dense(2, name="s"), 2), (layers.BatchNormalization(name="s"), 4)],
)
def test_shared_layers_tie_what_they_read(layer, made):
    x = inputs = keras.Input((6, 6, 3))
    y, z = (layer(layers.Conv2D(4, 1, name=name)(x)) for name in "ab")
    x = layers.Concatenate()([layers.Conv2D(2, 1)(y), layers.Conv2D(3, 1)(z)])
    groups = kbp.graph.channel_groups(keras.Model(inputs, layers.Dense(2)(x)))
    assert groups.layers["a"].tolist() == groups.layers["b"].tolist()
    assert len(set(groups.layers["a"])) == 4 and len(groups.layers["s"]) == made
    assert (groups.layers["s"].tolist() == groups.layers["a"].tolist()) == (made == 4)
    assert groups.prunable("a").all() and groups.prunable("s").all()


def test_layers_with_statistics_across_channels_are_named():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    for layer in (
        layers.LayerNormalization(name="layer"),
        layers.GroupNormalization(4, name="each"),
        layers.GroupNormalization(2, name="group"),
        layers.RMSNormalization(name="rms"),
        layers.UnitNormalization(name="unit"),
    ):
        x = layer(x)
    groups = kbp.graph.channel_groups(keras.Model(inputs, layers.Dense(2)(x)))
    assert groups.mixing == ("layer", "group", "rms", "unit")
    assert "statistics across channels in 4: layer, group, rms and 1 more" in str(
        groups
    )
    assert groups.layers["a"].tolist() == [3, 4, 3, 4]
    assert groups.prunable("a").all()
