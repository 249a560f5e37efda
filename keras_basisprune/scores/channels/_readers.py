"""The linear maps by which layers read channels."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.depthwise_half import depthwise_half
from keras_basisprune.graph.rules import (
    ATTENTION,
    argument_order,
    projection,
    projections,
)

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_DENSE = (keras.layers.Dense, keras.layers.EinsumDense)
_RECURRENT = (keras.layers.GRU, keras.layers.LSTM, keras.layers.SimpleRNN)


@dataclasses.dataclass(frozen=True)
class Reader:
    """A matrix that channels of a tensor are multiplied by, at each position.

    Attributes:
        name: The layer's name.
        tensor: The `KerasTensor`.
        axis: Its channel axis.
        rows: Float64 array of shape `(n, outputs)`.
        channel: Integer array of shape `(n,)`: the channel that each row belongs to.
        part: Integer array of shape `(n,)`: only rows of the same part add up (those of
            a group of a grouped convolution).
        half: What the tensor goes through before, a built depthwise convolution, and
            how many axes of the tensor it takes for the batch; or `None`.
    """

    name: str
    tensor: keras.KerasTensor
    axis: int
    rows: np.ndarray
    channel: np.ndarray
    part: np.ndarray
    half: tuple | None = None

    def features(self, values) -> np.ndarray:
        """What the rows are multiplied by: array of shape `(batch, places, n)`."""
        count, axis = len(values), self.axis
        if self.half is not None:
            layer, batch_axes = self.half
            values = values.reshape(-1, *values.shape[batch_axes:])
            values = keras.ops.convert_to_numpy(layer(values))
            axis -= batch_axes - 1
        values = np.moveaxis(values, axis, -1)
        return values.reshape(count, -1, values.shape[-1]).astype(np.float64)


def readers(call, channels) -> list[Reader]:
    """The maps by which a call reads channels that end there.

    Args:
        call: A `Call`.
        channels: The model's `ChannelMap`.

    Returns:
        A list of `Reader`s, one for each tensor; empty if the layer passes channels on,
        or is none of those that multiply them by kernels.
    """
    layer, batch_axes = call.op, 1
    while type(layer) is keras.layers.TimeDistributed:
        layer, batch_axes = layer.layer, batch_axes + 1
    found = []
    for tensor, matrices in _matrices(call, layer):
        known = channels.tensors.get(id(tensor))
        if known is None:
            continue
        rows, channel, part = _joined(layer, matrices)
        if len(known) != channel[-1] + 1 or _is_on_another_axis(layer, tensor, known):
            continue
        half = None
        if type(layer) in _SEPARABLE:
            half = _half(layer, (None, *tensor.shape[batch_axes:])), batch_axes
        name = call.op.name
        found.append(Reader(name, tensor, known.axis, rows, channel, part, half))
    return found


def _is_on_another_axis(layer, tensor, known):
    """Whether a dense layer leaves these channels alone."""
    return type(layer) in _DENSE and known.axis != len(tensor.shape) - 1


def _matrices(call, layer):
    """Pairs of a tensor and kernels that it is multiplied by, `cin` at the front."""
    kind, tensors = type(layer), call.input_tensors
    if kind in ATTENTION:
        return _projected(call, layer)
    if kind in _CONVOLUTIONS:
        # A filter for each channel: the channels pass.
        own = 1 < layer.groups == layer.groups * layer.kernel.shape[-2]
        return [] if own else [(tensors[0], [_front(layer.kernel, -2)])]
    if kind in _TRANSPOSED:
        return [(tensors[0], [_front(layer.kernel, -1)])]
    if kind in _SEPARABLE:
        return [(tensors[0], [_front(layer.pointwise_kernel, -2)])]
    if kind in _DENSE:
        return [(tensors[0], [_front(layer.kernel, 0)])]
    layers = [layer]
    if kind is keras.layers.Bidirectional:
        layers = [layer.forward_layer, layer.backward_layer]
    if all(type(inner) in _RECURRENT for inner in layers):
        return [(tensors[0], [_front(inner.cell.kernel, 0) for inner in layers])]
    return []


def _projected(call, layer):
    given = dict(zip(argument_order(call), call.input_tensors, strict=True))
    given.setdefault("key", given["value"])
    found: dict[int, tuple] = {}
    for source, names in projections(layer).items():
        tensor = given[source]
        kernels = [_front(projection(layer, name), 0) for name in names]
        found.setdefault(id(tensor), (tensor, []))[1].extend(kernels)
    return list(found.values())


def _front(weight, axis) -> np.ndarray:
    """A weight with one of its axes as the first, a float64 array."""
    weight = keras.ops.convert_to_numpy(weight).astype(np.float64)
    return np.moveaxis(weight, axis, 0)


def _joined(layer, matrices):
    """Rows, and the channel and the part of each."""
    groups = getattr(layer, "groups", 1)
    if groups > 1:  # the same rows of the kernel for each part of the filters
        (kernel,) = matrices
        matrices = [np.concatenate(np.split(kernel, groups, axis=-1))]
    rows = np.hstack([matrix.reshape(len(matrix), -1) for matrix in matrices])
    deep = getattr(layer, "depth_multiplier", 1)
    channel = np.repeat(np.arange(len(rows) // deep), deep)
    part = np.repeat(np.arange(groups), len(rows) // groups)
    return rows, channel, part


def _half(layer, shape):
    """The first half of a separable convolution, with its weights."""
    half = depthwise_half(layer, layer.name)
    half.build(shape)
    half.kernel.assign(layer.depthwise_kernel)
    return half
