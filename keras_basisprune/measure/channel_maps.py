"""What the channels of a layer make of one image."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.rules import known, rules_of
from keras_basisprune.graph.running import predict
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.graph.trained_masks import of_call
from keras_basisprune.layers import TrainedMask
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.shown import shown


@dataclasses.dataclass(frozen=True)
class ChannelMaps:
    """The maps of a layer's channels for one image.

    Attributes:
        layer: Name of the layer whose channels they are.
        behind: Name of the layer behind which they were taken.
        channels: Integer array of shape `(n,)`: the channels that are not masked.
        maps: Float array of shape `(height, width, n)`.
        image: Float array of shape `(height, width, 1 or 3)`, in [0, 1].
    """

    layer: str
    behind: str
    channels: np.ndarray
    maps: np.ndarray
    image: np.ndarray


def channel_maps(model: keras.Model, image, layer: str) -> ChannelMaps:
    """Runs one image through a model, up to the channels of a layer.

    They are taken behind the BatchNormalization, activation and scales that alone read
    them. Channels that such scales mask are left out. Time is that of a copy of the
    model and one image through it.

    Args:
        model: A built Functional or Sequential `keras.Model` with one image as input.
        image: Array of shape `(height, width, channels)`, as the model takes it; or a
            batch of one.
        layer: Name of a layer that makes maps, in nested models too.

    Returns:
        A `ChannelMaps`.

    Raises:
        ValueError: If there is no such layer, it makes no maps, or the image does not
            fit the model or is not finite.
    """
    check_model("model", model)
    flat = flatten(model)
    batch = _as_batch(flat, image)
    traced = trace(flat)
    call = _call(traced, layer)
    channels = channel_map(traced)
    last, masked = _followed(traced, channels, call)
    tensor = next(op for op in flat.operations if op.name == last.op.name).output
    values = predict(keras.Model(flat.inputs, tensor), batch)[0]
    found = channels.tensors.get(id(last.output_tensors[0]))
    maps = np.moveaxis(values, (found.axis if found else values.ndim) - 1, -1)
    kept = np.flatnonzero(~masked)
    picture = np.moveaxis(batch[0], 0, -1) if _first(flat) else batch[0]
    return ChannelMaps(layer, last.op.name, kept, maps[..., kept], _picture(picture))


def _as_batch(model, image) -> np.ndarray:
    """One image as a batch."""
    with np.errstate(over="ignore"):  # infinite then, which is refused
        image = check_numeric("image", image).astype(np.float32)
    batch = image if image.ndim == 4 else image[None]
    own = model.inputs[0].shape
    fits = len(model.inputs) == 1 and len(own) == batch.ndim == 4 and len(batch) == 1
    if not fits or any(
        a not in (None, b) for a, b in zip(own, batch.shape, strict=True)
    ):
        raise ValueError(
            "Expected `image` to be one image as the model takes it, of shape "
            f"{tuple(own[1:])}. Received: shape {image.shape}, for "
            f"{len(model.inputs)} input(s). Pass `images[0]`, say."
        )
    if not np.isfinite(batch).all():
        raise ValueError(
            "Expected `image` to be finite. Received: an image with NaN, infinity or "
            "numbers that float32 can't hold. Repair it by `numpy.nan_to_num`, say."
        )
    return batch


def _call(traced, layer):
    """The first call of a layer that makes maps."""
    made = [c for c in traced.calls if len(c.output_tensors[0].shape) == 4]
    name = layer if isinstance(layer, str) else None
    named = [call for call in made if call.op.name == name]
    if not named:
        found = [c.op.name for c in made if known(c.op, "filters", c.op) is not None]
        raise ValueError(
            "Expected `layer` to be the name of a layer that makes maps (four axes). "
            f"Received: layer={shown(layer)}; convolutions are {found[-20:]}. Pass one "
            "of these."
        )
    return named[0]


def _followed(traced, channels, call):
    """The last of the calls that alone read a call's channels, and what is masked."""
    consumers = traced.consumers()
    masked = np.zeros(len(_ids(channels, call)), bool)
    while True:
        if isinstance(call.op, TrainedMask) and call.op.weighs[0] == "channels":
            masked |= ~of_call(call, "unmasked")
        readers = consumers.get(id(call.output_tensors[0]), ())
        if len(readers) != 1 or not _passes(channels, call, readers[0]):
            return call, masked
        call = readers[0]


def _passes(channels, call, reader) -> bool:
    """Whether a reader treats each number by itself."""
    before, after = call.output_tensors[0], reader.output_tensors[0]
    ids = _ids(channels, call)
    return (
        len(reader.input_tensors) == 1
        and before.shape == after.shape
        and np.array_equal(ids, _ids(channels, reader))
        and known(reader.op, "filters", reader.op) is None
        and bool(rules_of(reader.op))
    )


def _ids(channels, call) -> np.ndarray:
    tensor = call.output_tensors[0]
    found = channels.tensors.get(id(tensor))
    return np.arange(-tensor.shape[-1], 0) if found is None else found.ids


def _first(model) -> bool:
    """Whether the model takes images with the channels first."""
    shape = model.inputs[0].shape
    return shape[-1] not in (1, 3) and shape[1] in (1, 3)


def _picture(image) -> np.ndarray:
    """An image in [0, 1]: of other than 1 or 3 channels, their mean."""
    if image.shape[-1] not in (1, 3):
        image = image.mean(-1, keepdims=True)
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)
