"""A copy of a network whose weights are changed for a moment, and what that loses."""

import contextlib

import keras
import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.spilled_list import SpilledList
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.running import LiveValues, run_calls
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.plans.sensitivity._divergence import Divergence
from keras_basisprune.surgery import fold


def working_copy(model, folded=True) -> keras.Model:
    """Copies a model; with BatchNormalization folded, unless masks are trained."""
    if not folded or trained_masks(trace(model)):
        return flatten(model)
    return fold(model)


class JudgedNetwork:
    """Runs a network from any of its calls on, and compares its outputs.

    The values that calls read are computed once and kept while later calls need them,
    for all samples that are judged: on disk beyond some memory (`data.spilling`).

    Args:
        traced: The `Trace` of a copy of the network.
        original: The model whose outputs are wanted, or `None` for this network's own.
        batches: The samples: `KeptBatches`, or lists of arrays, one per input.
    """

    def __init__(self, traced, original, batches):
        self.traced = traced
        self._outputs = [id(tensor) for tensor in keras.tree.flatten(traced.outputs)]
        self._live = LiveValues(traced, batches)
        self._now = outputs_of(traced, batches)
        wanted = self._now if original is None else outputs_of(trace(original), batches)
        for arrays in (*self._now, *wanted):
            _check_finite(arrays)
        self._divergence = Divergence(traced, wanted)
        self.loss = self._divergence(self._now)

    def advance(self, position):
        """Goes on to the call at a position; what comes before it can't be changed."""
        self._live.advance(position)

    def loss_from(self, position) -> float:
        """Returns the loss of the outputs if calls from a position on are run anew.

        Args:
            position: Integer, of the first call whose layer has been changed; at least
                that of the last `advance`.
        """
        calls = self.traced.calls[position:]
        made = {id(tensor) for call in calls for tensor in call.output_tensors}
        needed = {id(t): t for call in calls for t in call.input_tensors}
        values = {
            key: self._live.of(tensor)
            for key, tensor in needed.items()
            if tensor in self._live
        }
        wanted = [key for key in self._outputs if key in made]
        found = run_calls(calls, values, wanted, SpilledList)
        outputs = [
            found.get(key, now)
            for key, now in zip(self._outputs, self._now, strict=True)
        ]
        return self._divergence(outputs)


@contextlib.contextmanager
def restored(variables):
    """Gives variables the values again that they have now, to the bit."""
    before = [np.array(keras.ops.convert_to_numpy(one)) for one in variables]
    try:
        yield
    finally:
        for one, value in zip(variables, before, strict=True):
            one.assign(value)


def outputs_of(traced, batches) -> list:
    """Runs a traced model; returns for each output one array per batch, in sequence."""
    inputs = [id(tensor) for tensor in keras.tree.flatten(traced.inputs)]
    given = KeptBatches.made_of(batches).inputs
    values: dict = dict(zip(inputs, given, strict=True))
    outputs = [id(tensor) for tensor in keras.tree.flatten(traced.outputs)]
    wanted = [key for key in outputs if key not in values]
    found = run_calls(traced.calls, values, wanted, SpilledList) if wanted else {}
    return [values[key] if key in values else found[key] for key in outputs]


def _check_finite(arrays):
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            "Expected `model` to give finite outputs on `data`. Received: NaN or "
            "infinity. Scale the images as for training."
        )
