"""A layer that reads channels, and its correction if some of them are removed."""

import keras
import numpy as np

from keras_basisprune.graph.map_positions import take_positions
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.linalg import Moments, ridge_update
from keras_basisprune.surgery.linear_call import LinearCall

_LARGEST = 1152  # rows of a matrix whose patches are compared with each other


class FittedReader:
    """A call that multiplies channels by a matrix, corrected as `compensate` does.

    Statistics are those of whole patches. If patches have more than 1,152 values, they
    are those of the channels of the input, and each tap of the kernel is corrected in
    the same way.

    Args:
        position: Integer, the position of the call in the trace.
        call: The `Call`.
        channels: The model's `ChannelMap`.
        linear: Its `LinearCall`.
        channel: Integer array: the input channel of each feature (a row of the matrix,
            for one tap of the kernel).
    """

    def __init__(self, position, call, channels, linear, channel):
        self.position, self.name = position, call.op.name
        self.tensor = call.input_tensors[0]
        self._linear, self._axis = linear, channels.tensors[id(self.tensor)].axis
        self._matrix = linear.matrix
        self._taps = len(self._matrix) // len(channel)
        self._groups = channels.of(self.tensor)[channel]
        self._per_channel = len(self._matrix) > _LARGEST and self._taps > 1
        size = len(channel) if self._per_channel else len(self._matrix)
        self._moments = Moments(size)

    @staticmethod
    def of(position, call, channels, readers, counts) -> "FittedReader | None":
        """Returns the reader for a call; `None` if `compensate` would not correct it.

        Args:
            position: Its position.
            call: A `Call`.
            channels: The model's `ChannelMap`.
            readers: Maps `id(tensor)` to the calls that read it.
            counts: Maps `id(layer)` to the number of its calls.
        """
        if not LinearCall.can_be_fitted(call.op):
            return None
        tensor = call.input_tensors[0]
        known = channels.tensors.get(id(tensor))
        reads = rule_of(call.op).reads(call.op, call)
        if known is None or len(reads) != 1:
            return None
        last = len(tensor.shape) - 1
        if reads[0].last and known.axis != last:
            return None  # it reads along another axis than that of the channels
        channel, linear = reads[0].channel, LinearCall(call, readers, counts)
        if channel is None:
            channel = np.arange(len(known))
        rows = len(linear.matrix)
        if rows % len(channel) or not linear.settable(linear.matrix):
            return None
        return FittedReader(position, call, channels, linear, channel)

    @property
    def variables(self) -> list:
        """The weights that `correct` sets."""
        constant = [] if self._linear.offset is None else [self._linear.offset[1]]
        return [*self._linear.op.weights, *constant]

    def reads(self, groups) -> bool:
        """Returns whether it reads channels of some groups."""
        return bool(np.isin(self._groups, groups).any())

    def add(self, values, positions):
        """Adds a batch of its inputs to the statistics.

        Args:
            values: Array, what the call reads.
            positions: A `MapPositions` of this batch.
        """
        if self._per_channel:
            maps = np.moveaxis(values, self._axis, -1)
            maps = maps.reshape(len(maps), -1, maps.shape[-1])
            rows = take_positions(maps, positions.of_map(maps.shape[1]))
            rows = rows.reshape(-1, rows.shape[-1])
        else:
            size = output_positions(self._linear.op, values.shape)
            rows = self._linear.patches(values, positions.of_map(size))
        self._moments.add(rows)

    def check(self):
        """Raises a `ValueError` unless all of its inputs were finite."""
        self._moments.check(self.name)

    def correct(self, groups, ridge):
        """Removes the channels of some groups, and lets the others replace them.

        Args:
            groups: Integer array.
            ridge: Float > 0, as in `compensate`.
        """
        gone, taps = np.isin(self._groups, groups), self._taps
        mean, second = self._moments.mean, self._moments.covariance
        if self._linear.offset is None:
            second = second + np.outer(mean, mean)
        matrix = self._matrix
        if self._per_channel:  # one column for each tap of each filter
            matrix = np.moveaxis(matrix.reshape(taps, len(gone), -1), 0, 1)
            matrix = matrix.reshape(len(gone), -1)
        else:
            gone = np.tile(gone, taps)
        kept, lost = ~gone, matrix[gone]
        update = ridge_update(
            second[np.ix_(kept, kept)], second[np.ix_(kept, gone)] @ lost, ridge
        )
        changed = np.zeros(matrix.shape)
        changed[kept] = matrix[kept] + update
        shift = mean[gone] @ lost - mean[kept] @ update
        if self._per_channel:
            changed = np.moveaxis(changed.reshape(len(gone), taps, -1), 1, 0)
            changed = changed.reshape(self._matrix.shape)
            shift = shift.reshape(taps, -1).sum(axis=0)
        self._linear.assign(changed)
        if self._linear.offset is not None:
            sign, weight = self._linear.offset
            weight.assign(keras.ops.convert_to_numpy(weight) + sign * shift)
