"""A scale and a mask per channel: what the layer computes, keeps and refuses."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, identical, outputs, sample

import keras_basisprune as kbp
from keras_basisprune.layers import ChannelScaling

SCALE, MASK = [0.5, 2.0, -1.0, 1.0, 3.0], [1.0, 0.0, 1.0, 1.0, 1.0]
FACTORS = np.multiply(SCALE, MASK).astype("float32")


def layer(shape, data_format="channels_last", **kwargs):
    found = ChannelScaling(data_format, name="conv_channel_scaling", **kwargs)
    found.build(shape)
    found.scale.assign(SCALE)
    found.mask.assign(MASK)
    return found


@pytest.mark.parametrize(
    ("shape", "data_format", "axis"),
    [
        ((2, 5), "channels_last", 1),
        ((2, 5), "channels_first", 1),
        ((2, 7, 5), "channels_last", 2),
        ((2, 5, 7), "channels_first", 1),
        ((2, 3, 4, 5), "channels_last", 3),
        ((2, 5, 3, 4), "channels_first", 1),
        ((2, 5, 2, 3, 4), "channels_first", 1),
        ((2, 2, 3, 4, 2, 5), "channels_last", 5),
    ],
)
def test_multiplies_each_channel(shape, data_format, axis):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = np.moveaxis(np.moveaxis(x, axis, -1) * FACTORS, -1, axis)
    made = layer(shape, data_format)
    np.testing.assert_array_equal(array(made(x)), expected)
    assert made.compute_output_shape(shape) == shape


def test_changes_nothing_at_first_and_follows_the_protocol():
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    made = ChannelScaling(name="conv_channel_scaling", l1=0.5)
    np.testing.assert_array_equal(array(made(x)), x)
    assert [w.name for w in made.trainable_weights] == ["scale"]
    assert [w.name for w in made.non_trainable_weights] == ["mask"]
    assert made.weighs == ("channels", "conv")
    assert ChannelScaling.name_for("conv") == "conv_channel_scaling"
    made.scale.assign(SCALE)
    made.mask.assign(MASK)
    np.testing.assert_array_equal(made.strength(), np.abs(SCALE))
    np.testing.assert_array_equal(made.factors(), FACTORS)
    np.testing.assert_array_equal(made.unmasked(), np.array(MASK) > 0)
    np.testing.assert_allclose(float(sum(made.losses)), 0.5 * 7.5)


def test_config_and_file(tmp_path):
    inputs = keras.Input((4, 5))
    made = ChannelScaling(
        "channels_last", keras.regularizers.L2(0.1), name="x_channel_scaling"
    )
    model = keras.Model(inputs, made(inputs))
    made.scale.assign(SCALE)
    made.mask.assign(MASK)
    again = ChannelScaling.from_config(made.get_config())
    assert again.get_config() == made.get_config()
    assert again.data_format == "channels_last"
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = sample(model)
    assert identical(outputs(model, x), outputs(loaded, x))
    assert loaded.layers[-1].weighs == ("channels", "x")


def test_half_precision_keeps_the_scales():
    made = ChannelScaling(dtype="mixed_float16")
    y = made(np.ones((1, 5), "float16"))
    assert (y.dtype, made.scale.dtype, made.mask.dtype) == (
        "float16",
        "float32",
        "float32",
    )


def test_channels_first_is_cut_along_its_axis():
    inputs = keras.Input((3, 6, 6))
    first = {"data_format": "channels_first"}
    x = layers.Conv2D(5, 3, name="conv", activation="relu", **first)(inputs)
    x = ChannelScaling(name="conv_channel_scaling", **first)(x)
    x = layers.GlobalAveragePooling2D(**first)(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.get_layer("conv_channel_scaling").scale.assign(SCALE)
    model.get_layer("conv_channel_scaling").mask.assign(MASK)
    small = kbp.prune(model)
    np.testing.assert_array_equal(
        array(small.get_layer("conv_channel_scaling").scale), np.delete(SCALE, 1)
    )
    assert small.get_layer("conv").filters == 4


def test_refuses():
    with pytest.raises(ValueError, match="`data_format` to be 'channels_last'"):
        ChannelScaling("last")
    with pytest.raises(ValueError, match="`l1` to be a finite number >= 0"):
        ChannelScaling(l1=-1.0)
    with pytest.raises(ValueError, match="known number of channels.*None"):
        ChannelScaling().build((None, 4, None))
