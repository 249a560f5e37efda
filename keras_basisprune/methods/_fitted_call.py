"""A layer that a regression fits, and what it is fitted on."""

import keras
import numpy as np

from keras_basisprune.graph.joined_branch import joined_branch
from keras_basisprune.graph.makes_result import makes_result
from keras_basisprune.graph.map_positions import take_positions
from keras_basisprune.graph.rules import rule_of

# Smaller BatchNormalization factors are raised to this share of the largest, when a
# branch corrects the error of another one.
SMALLEST_FACTOR = 0.1


class FittedCall:
    """A call of a layer without activation, and the sum that its output goes into.

    Args:
        traced: The `Trace` of a twin.
        position: Integer, the position of the call.

    Attributes:
        call: The `Call`.
        kernel: Float64 array of shape `(n, cout)`.
        last: Whether it makes an output of the model.
    """

    def __init__(self, traced, position):
        self.call = call = traced.calls[position]
        self._rule = rule_of(call.op)
        kernel = keras.ops.convert_to_numpy(self._rule.matrix(call.op))
        self.kernel, self._narrow = kernel.astype(np.float64), kernel.astype(np.float32)
        consumers = traced.consumers()
        results = {id(tensor) for tensor in keras.tree.flatten(traced.outputs)}
        self.last = makes_result(call, consumers, results)
        self._branch = joined_branch(call, consumers, results)

    def branch_of(self, live):
        """Returns the sum that the output goes into, if its other tensors are known."""
        branch = self._branch
        return branch if branch and all(t in live for t in branch.others) else None

    def values(self, live, index) -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns the input and the other tensors of the sum, of one batch."""
        branch = self.branch_of(live)
        others = [live.of(t)[index] for t in branch.others] if branch else []
        return live.of(self.call.input_tensors[0])[index], others

    def samples(self, values, positions):
        """Computes what the layer makes at some positions.

        Args:
            values: What `values` returned.
            positions: The `MapPositions` of the batch.

        Returns:
            Three float32 arrays, one row per position: patches of the inputs, the
            outputs without bias, and what the outputs would have to be to make the
            sum alone. Channels with a small factor contribute little to it, so their
            correction is limited.
        """
        (source, others), layer = values, self.call.op
        at = positions.of_outputs(layer, source)
        inputs = self._rule.patches(layer, source, at).astype(np.float32, copy=False)
        outputs = made = inputs @ self._narrow
        if others:
            factor = self._branch.factor
            low = SMALLEST_FACTOR * np.abs(factor).max()
            factor = np.copysign(np.maximum(np.abs(factor), low), factor)
            rest = [take_positions(_maps(layer, value), at) for value in others]
            rest = sum(part.astype(np.float32, copy=False) for part in rest)
            rest = rest.reshape(len(made), -1) / factor.astype(np.float32)
            made = outputs + rest
        return inputs, outputs, made


def _maps(layer, outputs):
    """Returns outputs as an array of shape `(batch, positions, channels)`."""
    if getattr(layer, "data_format", "") == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    return outputs.reshape(len(outputs), -1, outputs.shape[-1])
