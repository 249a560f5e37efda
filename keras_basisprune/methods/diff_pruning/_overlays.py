"""What is laid over the weights of a base while a task's difference is learned.

Of all weights together there is one long vector of each kind, in the order of the
variables: a step of the optimizer is then one operation, not hundreds.
"""

import keras
import numpy as np
from keras import ops

from keras_basisprune.methods.diff_pruning.hard_concrete import (
    expected_gates,
    open_probability,
    sampled_gates,
)


class Difference(keras.layers.Layer):
    """Adds a difference to every weight: `w + delta`.

    Args:
        variables: List of `keras.Variable`s.
    """

    def __init__(self, variables):
        super().__init__(autocast=False)
        self.shapes = [tuple(v.shape) for v in variables]
        self.dtypes = [v.dtype for v in variables]
        self.ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        self.total = int(self.ends[-1]) if variables else 0
        self.delta = None
        if self.total:
            self.delta = self.add_weight((self.total,), "zeros", name="delta")
        self.built = True

    def call(self, origins, training=None):
        return self._added(origins, self.delta.value) if self.total else []

    def found(self):
        """Returns the difference of all weights, and how much each of them counts."""
        delta = _array(self.delta)
        return delta, np.abs(delta)

    def _added(self, origins, changes):
        pieces = zip(origins, self._pieces(changes), self.dtypes, strict=True)
        return [w + ops.cast(change, dtype) for w, change, dtype in pieces]

    def _pieces(self, vector):
        """Splits a vector into tensors of the variables' shapes."""
        if not self.shapes:
            return []
        parts = ops.split(vector, [int(end) for end in self.ends[:-1]])
        return [
            ops.reshape(part, shape)
            for part, shape in zip(parts, self.shapes, strict=True)
        ]


class GatedDifference(Difference):
    """Adds a difference with gates, `w + z * delta`, and the loss of open gates.

    Args:
        variables: List of `keras.Variable`s.
        structured: `None`, `"tensor"` or `"channel"`: what shares one more gate.
        strength: Float, factor of the share of gates that are expected to be open.
        start: Float, initial `log alpha`.
        seed: Integer.
    """

    def __init__(self, variables, structured, strength, start, seed):
        super().__init__(variables)
        self.strength = strength
        self.seeds = keras.random.SeedGenerator(seed)
        first = keras.initializers.Constant(start)
        self.log_alpha = self.add_weight((self.total,), first, name="log_alpha")
        self.shared, self.group = None, None
        if structured is not None:
            self.shared = [group_shape(shape, structured) for shape in self.shapes]
            count = sum(int(np.prod(shape)) for shape in self.shared)
            self.group = self.add_weight((count,), first, name="group_log_alpha")
        self.built = True

    @property
    def logits(self):
        """The variables of the gates."""
        return [v for v in (self.log_alpha, self.group) if v is not None]

    def call(self, origins, training=None):
        if training:
            share = ops.sum(self._each(open_probability)) / max(1, self.total)
            self.add_loss(self.strength * share)
        gates = self._each(self._drawn if training else expected_gates)
        return self._added(origins, gates * self.delta.value)

    def found(self):
        """Returns the difference without noise, and how much each of it counts.

        What counts is `|z * delta|`. Differences whose gates are closed come after all
        others, by `|delta|` times the probability that they are not.
        """
        delta = _array(self.delta)
        made = _array(self._each(expected_gates)) * delta
        closed = _array(self._each(open_probability)) * np.abs(delta)
        most = float(closed.max(initial=0.0)) or 1.0
        size = np.abs(made).astype("float64")
        return made, np.where(size > 0, 1.0 + size, 0.5 * closed / most)

    def _drawn(self, log_alpha):
        uniform = keras.random.uniform(log_alpha.shape, seed=self.seeds)
        return sampled_gates(log_alpha, uniform)

    def _each(self, function):
        """A function of the gates' logits; with groups, of both multiplied."""
        own = function(self.log_alpha.value)
        if self.group is None:
            return own
        sizes = np.cumsum([int(np.prod(shape)) for shape in self.shared])[:-1]
        parts = ops.split(function(self.group.value), [int(size) for size in sizes])
        wide = [
            ops.reshape(ops.broadcast_to(ops.reshape(part, few), shape), (-1,))
            for part, few, shape in zip(parts, self.shared, self.shapes, strict=True)
        ]
        return own * ops.concatenate(wide)


class AtPositions(Difference):
    """Replaces the weights at some positions; their new values train.

    Args:
        variables: List of `keras.Variable`s.
        positions: List of integer arrays of flat positions, one per variable.
        values: Array of the first values, of all variables in a row.
    """

    def __init__(self, variables, positions, values):
        keras.layers.Layer.__init__(self, autocast=False)
        self.shapes = [(len(p),) for p in positions]
        self.dtypes = [v.dtype for v in variables]
        self.ends = np.cumsum([len(p) for p in positions])
        places = np.concatenate([np.zeros(0, "int32"), *positions])[:, None]
        self.places = self.add_weight(
            places.shape, _constant(places), dtype="int32", trainable=False
        )
        self.values = self.add_weight(values.shape, _constant(values), name="values")
        self.built = True

    def call(self, origins, training=None):
        ends = [int(end) for end in self.ends[:-1]]
        places = ops.split(self.places.value, ends) if origins else []
        made = []
        for w, place, value in zip(origins, places, self.new_values(), strict=True):
            flat = ops.scatter_update(ops.reshape(w, (-1,)), place, value)
            made.append(ops.reshape(flat, w.shape))
        return made

    def new_values(self):
        """The values at the positions of each variable, in its dtype."""
        pieces = zip(self._pieces(self.values.value), self.dtypes, strict=True)
        return [ops.cast(piece, dtype) for piece, dtype in pieces]


def group_shape(shape, structured) -> tuple:
    """The shape of the gates that a tensor shares, to be broadcast to its shape.

    Args:
        shape: Shape of the tensor.
        structured: `"tensor"` for one gate; `"channel"` for one per index of the last
            axis that is longer than 1: that of output channels, in kernels of depthwise
            convolutions, too. Tensors with one such axis only share one gate.
    """
    long = [axis for axis, size in enumerate(shape) if size > 1]
    kept = long[-1:] if structured == "channel" and len(long) > 1 else []
    return tuple(size if axis in kept else 1 for axis, size in enumerate(shape))


def _constant(values):
    return lambda shape, dtype=None: ops.convert_to_tensor(values, dtype=dtype)


def _array(tensor):
    return np.array(ops.convert_to_numpy(tensor))
