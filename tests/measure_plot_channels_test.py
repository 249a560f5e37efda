"""A picture of channels: bright where they are active, and only those that are left."""

import base64
import io

import keras
import numpy as np
import pytest
from keras import layers
from models import array, relative_difference
from PIL import Image

import keras_basisprune as kbp
from keras_basisprune.layers import ChannelScaling
from keras_basisprune.measure import plot_channels
from keras_basisprune.measure.channel_maps import channel_maps
from keras_basisprune.report.channel_pictures import channel_pictures


def network(nested=False):
    """Channel 0 sees what is bright, 1 what is dark, 2 nothing."""
    inputs = keras.Input((8, 8, 1))
    conv = layers.Conv2D(3, 1, name="conv")
    x = conv(inputs)
    x = layers.BatchNormalization(epsilon=0.0, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = ChannelScaling(name="conv_channel_scaling")(x)
    if nested:
        inner = keras.Model(inputs, x, name="inner")
        inputs = keras.Input((8, 8, 1))
        x = inner(inputs)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    conv.kernel.assign(np.reshape([1.0, -1.0, 0.0], (1, 1, 1, 3)))
    conv.bias.assign([0.0, 1.0, 0.0])
    return model


def half_bright():
    image = np.zeros((8, 8, 1), "float32")
    image[:, 4:] = 1.0
    return image


@pytest.mark.parametrize("nested", [False, True])
def test_maps_are_those_behind_activation_and_scales(nested):
    found = channel_maps(network(nested), half_bright(), "conv")
    bright = half_bright()[..., 0]
    assert (found.layer, found.behind) == ("conv", "conv_channel_scaling")
    np.testing.assert_array_equal(found.channels, [0, 1, 2])
    expected = np.stack([bright, 1 - bright, 0 * bright], -1)
    np.testing.assert_allclose(found.maps, expected, atol=1e-6)
    np.testing.assert_array_equal(found.image, half_bright())
    batch = channel_maps(network(nested), half_bright()[None], "relu")
    np.testing.assert_allclose(batch.maps, expected, atol=1e-6)


def test_masked_channels_are_left_out_as_pruned_ones_are():
    model = network()
    model.get_layer("conv_channel_scaling").mask.assign([0.0, 1.0, 1.0])
    masked = channel_maps(model, half_bright(), "conv")
    np.testing.assert_array_equal(masked.channels, [1, 2])
    pruned = channel_maps(kbp.prune(model), half_bright(), "conv")
    np.testing.assert_array_equal(pruned.channels, [0, 1])
    assert relative_difference([masked.maps], [pruned.maps]) <= 1e-6


def test_it_stops_where_others_read_too_and_where_channels_are_read():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    y = layers.ReLU(name="a_relu")(x)
    z = layers.Conv2D(4, 3, padding="same", name="b", activation="relu")(y)
    x = layers.Add(name="sum")([x, z])
    x = layers.MaxPooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="c")(x))
    image = np.random.default_rng(0).normal(size=(6, 6, 3)).astype("float32")
    assert channel_maps(model, image, "a").behind == "a"
    found = channel_maps(model, image, "b")
    assert found.behind == "b"
    expected = keras.Model(inputs, z)(image[None])
    np.testing.assert_allclose(found.maps, array(expected)[0], atol=1e-6)
    assert found.image.shape == (6, 6, 3)
    assert (found.image.min(), found.image.max()) == (0.0, 1.0)


def panels(path, count):
    """The pictures in a row, without titles: the colours left and right in each."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(float)
    middle = pixels[int(0.72 * len(pixels))]
    width = len(middle) / count
    return [
        [middle[int((n + part) * width)].sum() for part in (0.3, 0.7)]
        for n in range(count)
    ]


def test_the_picture_is_bright_where_a_channel_is_active(tmp_path):
    path = tmp_path / "new" / "channels.png"
    assert plot_channels(network(), half_bright(), "conv", path) == path
    first, second, third = panels(path, 3)
    assert first[1] > first[0] + 100  # active where the image is bright
    assert second[0] > third[0] + 100  # active where it is dark: over black
    few = plot_channels(network(), half_bright(), "conv", tmp_path / "few.png", most=1)
    assert Image.open(few).width < Image.open(path).width


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "none"}, r"`layer` to be the name.*'none'; conv.*\['conv'\]"),
        ({"layer": "head"}, "`layer` to be the name of a layer that makes maps"),
        (
            {"image": np.zeros((4, 4, 1))},
            r"`image` to be one.*\(4, 4, 1\)",
        ),
        ({"image": np.full((8, 8, 1), np.nan)}, "`image` to be finite.*with NaN"),
        ({"image": np.where(half_bright(), np.inf, 0)}, "`image` to be finite"),
        ({"image": np.full((8, 8, 1), 1e60)}, "`image` to be finite.*float32"),
        ({"layer": np.array(["conv", "norm"])}, "`layer` to be the name.*shape"),
        ({"layer": None}, "`layer` to be the name.*layer=None"),
        ({"image": np.zeros((2, 8, 8, 1))}, r"`image` to be one.*\(2, 8, 8, 1\)"),
        ({"path": "channels.txt"}, "`path` to end with '.png'"),
        ({"most": 0}, "`most` to be a positive integer. Received: most=0"),
    ],
)
def test_refuses(change, message, tmp_path):
    given = {"image": half_bright(), "layer": "conv", "path": "x.png", **change}
    given["path"] = tmp_path / given["path"]
    with pytest.raises(ValueError, match=message):
        plot_channels(network(), **given)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_of_which_all_is_masked_can_t_be_drawn(tmp_path):
    model = network()
    model.get_layer("conv_channel_scaling").mask.assign([0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="Expected `layer` to have channels.*'conv'"):
        plot_channels(model, half_bright(), "conv", tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_the_report_are_of_the_last_small_layers():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 1, name="first")(inputs)
    x = layers.Conv2D(32, 1, name="wide")(x)
    x = layers.Conv2D(4, 1, name="second")(x)
    x = layers.Conv2D(3, 3, name="third")(x)
    x = layers.Conv2D(3, 3, strides=4, name="tiny")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    found = channel_pictures(model, half_bright()[None])
    assert [picture["layer"] for picture in found] == ["second", "third"]
    assert all(2e3 < len(picture["png"]) < 1e5 for picture in found)
    assert channel_pictures(network(), np.zeros((1, 4, 4, 1))) == []


def test_pictures_of_noise_stay_small():
    """Sixteen panels of noise would take half a megabyte: fewer are shown."""
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, layers.Conv2D(16, 3, name="conv")(inputs))
    image = np.random.default_rng(0).random((1, 64, 64, 3))
    (picture,) = channel_pictures(model, image)
    content = base64.b64decode(picture["png"])
    assert 20_000 < len(content) <= 64_000
    with Image.open(io.BytesIO(content)) as drawn:
        assert len(drawn.getcolors()) <= 64
        assert drawn.height < 300  # one row of panels, not two
