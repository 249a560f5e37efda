"""folded_layers: what `fold` leaves of a decomposed layer, without its weights."""

import keras
import pytest
from keras import layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.folded_layers import folded_layers
from keras_basisprune.graph.trace import trace

KINDS = {
    "conv1d": ((16, 4), layers.Conv1D(12, 3, dilation_rate=2, name="layer")),
    "conv2d": ((8, 8, 4), layers.Conv2D(12, 3, strides=2, name="layer")),
    "same": ((8, 8, 4), layers.Conv2D(12, (1, 5), padding="same", name="layer")),
    "conv3d": ((6, 6, 6, 3), layers.Conv3D(9, 2, name="layer")),
    "dense": ((20,), layers.Dense(12, name="layer")),
    "separable": ((8, 8, 10), layers.SeparableConv2D(12, 3, name="layer")),
}


def converted(kind, rank, activation="linear"):
    shape, layer = KINDS[kind]
    layer = type(layer).from_config({**layer.get_config(), "activation": activation})
    inputs = keras.Input(shape)
    model = randomize(keras.Model(inputs, layer(inputs)))
    return kbp.convert(model, rank, include=type(layer))


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("rank", [2, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_those_that_fold_makes(kind, rank, activation):
    model = converted(kind, rank, activation)
    pair = basis_pairs(trace(model))["layer"]
    made = folded_layers(pair, pair.rank)
    parts = [
        layer
        for layer in kbp.fold(model).layers
        if layer.name in ("layer_basis", "layer")
    ]
    assert [(type(one), one.name) for one in made] == [
        (type(one), one.name) for one in parts
    ]
    n, cout = pair.matrix
    assert len(made) == (2 if pair.rank * (n + cout) < n * cout else 1)
    for one, other in zip(made, parts, strict=True):
        config = other.get_config() | {"activation": "linear"}
        ours = one.get_config() | {"build_config": config.get("build_config")}
        if "build_config" not in config:
            ours.pop("build_config")
        assert ours == config


@pytest.mark.parametrize("kind", KINDS)
def test_full_rank_is_the_layer_itself(kind):
    pair = basis_pairs(trace(converted(kind, None)))["layer"]
    (merged,) = folded_layers(pair, min(pair.matrix), use_bias=False)
    assert merged.name == "layer"
    assert not merged.use_bias
    width = merged.units if kind == "dense" else merged.filters
    assert width == pair.matrix[1]
