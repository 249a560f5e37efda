"""The values of a model's tensors on some data, kept as long as needed."""

import copy
from collections.abc import Sequence

import keras

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.spilled_list import SpilledList
from keras_basisprune.graph.running._run_calls import run_calls
from keras_basisprune.graph.trace import Trace


class LiveValues:
    """Runs a traced model step by step, over all data at once.

    All values that later calls still need are kept, for all samples: in memory as far
    as they may be (`data.spilling`), all others on disk. Each call is run once, over
    all steps.

    Args:
        traced: The model's `Trace`.
        batches: `KeptBatches`, or a list of lists of arrays, one per input of the
            model.
        made: A function that returns an empty list for the values of a tensor, such as
            `list` if there is only one batch.
    """

    def __init__(self, traced: Trace, batches, made=SpilledList):
        self._calls, self._at, self._made = traced.calls, 0, made
        self._last = {
            id(tensor): position
            for position, call in enumerate(traced.calls)
            for tensor in call.input_tensors
        }
        inputs = [id(t) for t in keras.tree.flatten(traced.inputs)]
        given = KeptBatches.made_of(batches).inputs
        self._values = dict(zip(inputs, given, strict=True))

    def advance(self, position):
        """Computes all values that the calls from `position` on need."""
        calls = self._calls[self._at : position]
        made = {id(t) for call in calls for t in call.output_tensors}
        wanted = {key for key in made if self._last.get(key, -1) >= position}
        self._values.update(run_calls(calls, self._values, wanted, self._made))
        for key in [k for k in self._values if self._last.get(k, -1) < position]:
            del self._values[key]
        self._at = max(self._at, position)

    def of(self, tensor) -> Sequence:
        """Returns the values of a tensor that is still needed, one array per batch."""
        return self._values[id(tensor)]

    def __contains__(self, tensor) -> bool:
        """Returns whether a tensor has been computed and is still needed."""
        return id(tensor) in self._values

    def copy(self) -> "LiveValues":
        """Returns an independent run that continues from here; arrays are shared."""
        other = copy.copy(self)
        other._values = dict(self._values)
        return other
