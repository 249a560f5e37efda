"""The values of a model's tensors on some data, as long as they are needed."""

import copy

import keras

from keras_basisprune.graph.running._run_calls import run_calls
from keras_basisprune.graph.trace import Trace


class LiveValues:
    """Runs a traced model step by step, over all data at once.

    Memory is that of all values that later calls still need, for all samples. Over all
    steps, each call is run once.

    Args:
        traced: The model's `Trace`.
        batches: A list of lists of arrays, one per input of the model.
    """

    def __init__(self, traced: Trace, batches):
        self._calls, self._at = traced.calls, 0
        self._last = {
            id(tensor): position
            for position, call in enumerate(traced.calls)
            for tensor in call.input_tensors
        }
        inputs = [id(t) for t in keras.tree.flatten(traced.inputs)]
        arrays = map(list, zip(*batches, strict=True))
        self._values = dict(zip(inputs, arrays, strict=True))

    def advance(self, position):
        """Computes all that calls from `position` on need."""
        calls = self._calls[self._at : position]
        made = {id(t) for call in calls for t in call.output_tensors}
        wanted = {key for key in made if self._last.get(key, -1) >= position}
        self._values.update(run_calls(calls, self._values, wanted))
        for key in [k for k in self._values if self._last.get(k, -1) < position]:
            del self._values[key]
        self._at = max(self._at, position)

    def of(self, tensor) -> list:
        """The values of a tensor that is still needed: a list of arrays, by batch."""
        return self._values[id(tensor)]

    def __contains__(self, tensor) -> bool:
        """Whether a tensor has been computed and is still needed."""
        return id(tensor) in self._values

    def copy(self) -> "LiveValues":
        """A second run that goes on from here by itself; arrays are shared."""
        other = copy.copy(self)
        other._values = dict(self._values)
        return other
