"""Adam for weights, and plain gradient descent for the logits of gates."""

import keras
from keras import ops

_LARGEST = 4.0  # of one logit's step, relative to the root mean square of all


class GateAdam(keras.optimizers.Adam):
    """Adam, but for gates: their steps have the same root mean square each time.

    Adam would move all logits alike, however much the loss depends on each; so that the
    penalty on the cost would close all gates at once. Here those move most that matter
    most, or cost most, whatever the scale of the loss.

    Args:
        learning_rate: Rate or schedule of Adam.
        gates: The `keras.Variable`s of the logits.
        rate: Float, root mean square of the steps of all logits.
    """

    def __init__(self, learning_rate, gates, rate):
        super().__init__(learning_rate)
        self._gates = {id(v) for gate in gates for v in (gate, gate.value)}
        self._places: list[int] = []
        self.rate = self.add_variable((), "zeros", dtype="float32", name="gate_rate")
        self.rate.assign(rate)

    def build(self, variables):
        super().build(variables)
        places = enumerate(variables)
        self._places = [place for place, v in places if id(v) in self._gates]

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        found = [ops.cast(grads[place], "float32") for place in self._places]
        count = sum(gradient.shape[0] for gradient in found)
        squares = sum(ops.sum(ops.square(gradient)) for gradient in found)
        size = ops.sqrt(squares / count) + 1e-12
        for place, gradient in zip(self._places, found, strict=True):
            grads[place] = ops.clip(gradient / size, -_LARGEST, _LARGEST)
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        if id(variable) not in self._gates:
            super().update_step(gradient, variable, learning_rate)
            return
        step = ops.cast(self.rate * gradient, variable.dtype)
        self.assign_sub(variable, step)
