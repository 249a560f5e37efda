"""A call of a layer that multiplies what it reads by a matrix which can be set."""

import keras
import numpy as np

from keras_basisprune.graph.map_positions import LARGEST
from keras_basisprune.graph.rewrite import built_chain
from keras_basisprune.graph.rules import defines, rule_of
from keras_basisprune.layers import BasisScalingConv


class LinearCall:
    """The matrix of a call, what it is multiplied by, and the constant behind it.

    Args:
        call: A `Call` whose layer `can_be_fitted`.
        readers: Maps `id(tensor)` to the calls that read it, in the same trace.
        counts: Maps `id(layer)` to the number of its calls.
    """

    def __init__(self, call, readers=None, counts=None):
        self.op, self.tensor = call.op, call.input_tensors[0]
        self._rule = rule_of(call.op)
        before = self._rule.before(call.op, call.op.name)
        self._first = built_chain(before, self.tensor.shape) if before else None
        self.offset = None if readers is None else _offset(call, readers, counts)

    @staticmethod
    def can_be_fitted(op) -> bool:
        """Whether a layer is one whose matrix can be found by regression, and set."""
        rule = rule_of(op)
        facts = ("matrix", "patches", "weights_for")
        if not all(defines(rule, fact) for fact in facts):
            return False
        if getattr(op, "quantization_mode", None) or getattr(op, "lora_enabled", False):
            return False  # its kernel can't be assigned to
        shape = rule.matrix_shape(op)
        # What comes before the matrix (in a separable convolution) makes patches small.
        return shape is not None and (
            shape[0] <= LARGEST or bool(rule.before(op, op.name))
        )

    @property
    def matrix(self) -> np.ndarray:
        """Float64 array of shape `(n, cout)`."""
        matrix = keras.ops.convert_to_numpy(self._rule.matrix(self.op))
        return matrix.astype(np.float64)

    def settable(self, matrix) -> bool:
        """Whether there are weights that amount to such a matrix."""
        return self._rule.weights_for(self.op, matrix) is not None

    def assign(self, matrix):
        """Gives the layer the weights that amount to a matrix."""
        for name, value in self._rule.weights_for(self.op, matrix).items():
            getattr(self.op, name).assign(value)

    def patches(self, inputs, positions) -> np.ndarray:
        """What the matrix is multiplied by, at some positions of the output.

        Inputs go through what comes before it, in a separable convolution. Float32, or
        float64 if they are.
        """
        inputs = self._first(inputs) if self._first else inputs
        found = self._rule.patches(self.op, inputs, positions)
        return found.astype(np.result_type(found, np.float32), copy=False)


def _offset(call, readers, counts):
    """The weight that a constant can be added to, and the sign it is added with.

    That is the layer's bias, or the mean that its only reader subtracts.
    """
    if getattr(call.op, "bias", None) is not None:
        return 1, call.op.bias
    behind = readers.get(id(call.output_tensors[0]), ())
    if len(behind) != 1 or counts[id(behind[0].op)] > 1:
        return None
    reader = behind[0].op
    if type(reader) is keras.layers.BatchNormalization:
        return -1, reader.moving_mean
    if type(reader) is BasisScalingConv and reader.centered:
        return -1, reader.mean
    return None
