"""A layer that makes up for the channels which it no longer reads."""

import keras
import numpy as np

from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.linalg import Moments, ridge_update
from keras_basisprune.methods._row_channels import row_channels


class VirtualReader:
    """Corrects a layer for any set of channels that are left, from one pass over data.

    What the layer lacks against the original is regressed on all that it reads, and the
    moments of that hold for every part of it: with `k` the rows that are left, `p` the
    others, `C` the covariance of what all are multiplied by and `X` its covariance with
    what the outputs lack, `W_k + (C_kk + e I)^-1 (X_k + C_kp W_p)`.

    Args:
        old: The `LinearCall` of the original.
        new: That of the network whose weights are set.
        groups: Integer array: the group of each channel that is read.
        axis: Integer, the axis of these channels.
        ridge: Float, as in `compensate`.
    """

    def __init__(self, old, new, groups, axis, ridge):
        self.old, self.new = old, new
        self._groups, self._axis, self._ridge = groups, axis, ridge
        self._rows: np.ndarray | None = None
        self._moments: Moments | None = None
        self._matrix = old.matrix
        self._offset = None
        if new.offset is not None:
            self._offset = _array(new.offset[1])

    def learn(self, before, after, positions):
        """Takes in what the layer reads, in the original and now.

        Args:
            before: A `SpilledList` of arrays, one per batch.
            after: The same.
            positions: A list of `MapPositions`, one per batch.
        """
        sizes = [output_positions(self.new.op, shape) for shape in after.shapes]
        if self._rows is None:
            some = np.linspace(0, sizes[0] - 1, min(sizes[0], 1024)).astype(int)
            shape = after.shapes[0]
            channels = row_channels(self.new, shape, self._axis, some)
            self._rows = self._groups[channels]
        moments = Moments(*self._matrix.shape)
        for index, size in enumerate(sizes):
            at = positions[index].of_map(size)
            inputs = self.new.patches(after[index], at)
            lack = self.old.patches(before[index], at) - inputs
            moments.add(inputs, lack @ self._matrix)
        moments.check(self.new.op.name)
        self._moments = moments
        self._second, self._cross = moments.covariance, moments.cross_covariance
        self._mean, self._other = moments.mean, moments.other_mean
        if self._offset is None:  # no constant can be added: least squares without one
            self._second = self._second + np.outer(self._mean, self._mean)
            self._cross = self._cross + np.outer(self._mean, self._other)

    def correct(self, alive):
        """Sets the layer's weights for what is left.

        Args:
            alive: Boolean array: whether each group of channels is.
        """
        left = alive[self._rows]
        gone, matrix = self._matrix[~left], self._matrix.copy()
        second = self._second[left]
        cross = self._cross[left] + second[:, ~left] @ gone
        update = ridge_update(second[:, left], cross, self._ridge)
        matrix[left] += update
        self.new.assign(matrix)
        if self._offset is not None:
            sign, weight = self.new.offset
            lack = self._other + self._mean[~left] @ gone
            shift = lack - self._mean[left] @ update
            weight.assign(self._offset + sign * shift)

    def forget(self):
        """Lets go of the moments: they take `n^2` numbers."""
        self._moments = self._second = self._cross = None

    def reset(self):
        """Sets the weights as they were."""
        self.new.assign(self._matrix)
        if self._offset is not None:
            self.new.offset[1].assign(self._offset)


def _array(weight):
    return np.array(keras.ops.convert_to_numpy(weight))
