"""What the channels of the last convolutions see, as pictures in a page."""

import base64
import io
import pathlib

from keras_basisprune.graph.rules import known
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.plot_channels import plot_channels
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_LAYERS, _CHANNELS = 2, 16  # of each at most, so that pages stay small
_BYTES, _COLOURS = 64_000, 64  # of a picture
_SMALLEST = 3  # positions per side of a map in which something can be seen


def channel_pictures(model, images) -> list[dict]:
    """Draws what the last convolutions of a small network make of one image.

    Only maps on which there is something to see are drawn, of layers with few channels,
    in 64 colours. If a picture takes more than 64 kB, it shows half of the channels
    (those with the largest mean magnitude), and so on.

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
        try:
            picture = _picture(model, images[0], name)
        except (ImportError, ValueError):  # a report is not lost by a picture
            return []
        found.append({"layer": name, "png": base64.b64encode(picture).decode()})
    return found


def _picture(model, image, layer) -> bytes:
    """Draws as many channels as a small file can show."""
    most = _CHANNELS
    with TemporaryFolder() as folder:
        path = pathlib.Path(folder) / "channels.png"
        while True:
            plot_channels(model, image, layer, path, most=most)
            content = _in_few_colours(path)
            if len(content) <= _BYTES or most == 1:
                return content
            most //= 2


def _in_few_colours(path) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(content, "PNG", optimize=True)
    return content.getvalue()


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
