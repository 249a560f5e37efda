"""A picture of what the channels of a layer see in an image."""

import math
import pathlib
from typing import Any

import keras
import numpy as np

from keras_basisprune.measure.channel_maps import channel_maps
from keras_basisprune.measure.figures import check_picture, figure, save
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Path

_COLUMNS, _COLOURS = 8, "inferno"


def plot_channels(
    model: keras.Model, image: Any, layer: str, path: Path, *, most: int = 64
) -> pathlib.Path:
    """Draws, for one image, where each channel of a layer is active.

    One panel per channel: the image in grey, and over it the channel's activation,
    behind the BatchNormalization and activation that follow the layer; dark where it is
    lowest, bright where it is highest. The largest magnitude of all channels is in the
    title of each as 100 %. Channels that are masked are left out: after pruning, these
    are the few that are left, and the picture is all that the network goes by. Needs
    matplotlib (extra `plots`).

    Source: Wong, Kashyap, Moradi 2021, *Channel Scaling: A Scale-and-Select Approach
    for Efficient Transfer Learning* (arXiv:2103.12228), section 3, on explainability.

    Args:
        model: A built Functional or Sequential `keras.Model` that takes one image.
        image: Array of shape `(height, width, channels)`, as the model takes it.
        layer: Name of a layer that makes maps, such as the last convolution.
        path: Where to write; `.png`, `.svg` or `.pdf`. Parent folders are created.
        most: Integer, panels at most: the channels with the largest mean magnitude.

    Returns:
        The path.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If there is no such layer, it makes no maps, all of its channels are
            masked, the image does not fit the model or is not finite, or another
            argument is not of its kind.

    Example:

    >>> keras_basisprune.measure.plot_channels(small, x[0], "conv5", "channels.png")
    """
    check_picture("path", path)
    most = check_whole("most", most, remedy="Start with 64.")
    found = channel_maps(model, image, layer)
    if not len(found.channels):
        raise ValueError(
            "Expected `layer` to have channels that are not masked. Received: "
            f"layer={layer!r}, of which all are. Pass another layer."
        )
    size = np.abs(found.maps).mean((0, 1))
    drawn = np.sort(np.argsort(-size, kind="stable")[:most])
    columns = min(_COLUMNS, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    canvas = figure(1.3 * columns, 1.5 * rows + 0.4)
    axes = list(canvas.subplots(rows, columns, squeeze=False).flat)
    grey = found.image.mean(-1)
    largest = np.abs(found.maps).max() or 1.0
    for axis, number in zip(axes, drawn, strict=False):
        _panel(axis, grey, found.maps[..., number])
        share = np.abs(found.maps[..., number]).max() / largest
        axis.set_title(f"{found.channels[number]}: {100 * share:.0f} %", fontsize=7)
    for axis in axes:
        axis.set_axis_off()
    left = f"{len(drawn)} of {len(size)}" if len(drawn) < len(size) else f"{len(size)}"
    canvas.suptitle(f"{found.layer}: {left} channels", fontsize=9)
    return save(canvas, path)


def _panel(axis, grey, values):
    """One channel over the image."""
    height, width = grey.shape
    within = (0, width, height, 0)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=within)
    low, high = values.min(), values.max()
    heat = (values - low) / (high - low) if high > low else np.zeros_like(values)
    axis.imshow(heat, cmap=_COLOURS, vmin=0, vmax=1, alpha=0.6, extent=within)
