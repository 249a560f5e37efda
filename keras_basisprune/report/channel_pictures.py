"""What the channels of the last convolutions see, as pictures in a page."""

import base64
import pathlib

from keras_basisprune.graph.rules import known
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.plot_channels import plot_channels
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_LAYERS, _CHANNELS = 2, 16  # of each at most, so that pages stay small
_SMALLEST = 3  # positions per side of a map in which something can be seen


def channel_pictures(model, images) -> list[dict]:
    """Draws what the last convolutions of a small network make of one image.

    Only maps on which there is something to see are drawn, of layers with few channels:
    a picture takes some ten kilobytes then.

    Args:
        model: The smaller `keras.Model`, folded.
        images: Array of images; the first is shown. A list, for several inputs, isn't.

    Returns:
        A list of dicts: `"layer"`, and `"png"`, the picture as base64. Empty if there
        is no such layer, or matplotlib is missing.
    """
    if isinstance(images, list):  # of several inputs
        return []
    found = []
    for name in _last(model):
        with TemporaryFolder() as folder:
            path = pathlib.Path(folder) / "channels.png"
            try:
                plot_channels(model, images[0], name, path)
            except (ImportError, ValueError):  # a report is not lost by a picture
                return []
            found.append(
                {"layer": name, "png": base64.b64encode(path.read_bytes()).decode()}
            )
    return found


def _last(model) -> list[str]:
    """Names of the last convolutions that can be shown, in order."""
    names: dict[str, None] = {}
    for call in trace(model).calls:
        output, filters = call.output_tensors[0], known(call.op, "filters", call.op)
        if filters is None or len(output.shape) != 4 or filters.shape[1] > _CHANNELS:
            continue
        sides = sorted(size or 0 for size in output.shape[1:])
        if sides[-2] >= _SMALLEST:
            names[call.op.name] = None
    return list(names)[-_LAYERS:]
