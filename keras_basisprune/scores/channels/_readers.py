"""The linear maps by which layers read channels."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.rewrite import built_chain
from keras_basisprune.graph.rules import rule_of, unwrapped


@dataclasses.dataclass(frozen=True)
class Reader:
    """A matrix that channels of a tensor are multiplied by, at each position.

    Attributes:
        name: The layer's name.
        tensor: The `KerasTensor`.
        axis: Its channel axis.
        rows: Float64 array of shape `(n, outputs)`.
        channel: Integer array of shape `(n,)`: the channel that each row belongs to.
        part: Integer array of shape `(n,)`: only rows of the same part are added up
            (those of a group of a grouped convolution).
        preprocess: A function that is applied to the tensor first (of a depthwise
            convolution, for example), and the number of leading axes of the tensor that
            it takes for the batch; or `None`.
    """

    name: str
    tensor: keras.KerasTensor
    axis: int
    rows: np.ndarray
    channel: np.ndarray
    part: np.ndarray
    preprocess: tuple | None = None

    def features(self, values) -> np.ndarray:
        """Returns the factors of the rows: array of shape `(batch, positions, n)`."""
        count, axis = len(values), self.axis
        if self.preprocess is not None:
            function, batch_axes = self.preprocess
            values = values.reshape(-1, *values.shape[batch_axes:])
            values = function(values)
            axis -= batch_axes - 1
        values = np.moveaxis(values, axis, -1)
        return values.reshape(count, -1, values.shape[-1]).astype(np.float64)


def readers(call, channels) -> list[Reader]:
    """Returns the linear maps by which a call reads channels that end there.

    Args:
        call: A `Call`.
        channels: The model's `ChannelMap`.

    Returns:
        A list of `Reader`s, one for each tensor; empty if the layer passes channels on,
        or does not multiply them by a kernel.
    """
    layer, batch_axes = unwrapped(call.op)
    rule, found = rule_of(layer), []
    for read in [] if rule is None else rule.reads(layer, call):
        known = channels.tensors.get(id(read.tensor))
        if known is None:
            continue
        rows = np.asarray(read.rows).astype(np.float64)
        channel = np.arange(len(rows)) if read.channel is None else read.channel
        part = np.zeros(len(rows), int) if read.part is None else read.part
        ndim = len(read.tensor.shape)
        if len(known) != channel[-1] + 1 or (read.last and known.axis != ndim - 1):
            continue
        preprocess = None
        if before := rule.before(layer, layer.name):
            shape = (None, *read.tensor.shape[batch_axes:])
            preprocess = built_chain(before, shape), batch_axes
        name, axis = call.op.name, known.axis
        found.append(Reader(name, read.tensor, axis, rows, channel, part, preprocess))
    return found
