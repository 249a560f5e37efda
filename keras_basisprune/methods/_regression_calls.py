"""The layers that a regression fits."""

import collections

from keras_basisprune.graph.rules import defines, rule_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.methods._fitted_call import FittedCall


class RegressionCalls:
    """The calls of a twin, and which of them are fitted.

    Args:
        twin: A `LinearTwin`.
        only: Positions of calls, if only these are needed in `fits`.

    Attributes:
        traced: The `Trace` of the twin.
        keys: Maps the `id`s of its layers to decompose to their keys.
        places: Maps the keys of the layers that are fitted to the positions of calls.
        fits: Maps these positions, ascending, to `FittedCall`s.
    """

    def __init__(self, twin, only=None):
        apart = layers_apart(twin)
        self.keys = {id(layer): key for key, layer in twin.layers.items()}
        self.traced = trace(twin.model)
        self.places = {
            key: position
            for position, call in enumerate(self.traced.calls)
            if (key := self.keys.get(id(call.op))) is not None and key not in apart
        }
        self.fits = {
            position: FittedCall(self.traced, position)
            for position in self.places.values()
            if only is None or position in only
        }


def layers_apart(twin) -> list[int]:
    """Returns the keys of the layers of a twin that a regression does not fit.

    They are called several times, or their rules don't provide what it needs. Their
    bases are those of their outputs.
    """
    counts = collections.Counter(id(call.op) for call in trace(twin.model).calls)
    return [
        key
        for key, layer in twin.layers.items()
        if counts[id(layer)] > 1 or not _is_fitted(layer)
    ]


def _is_fitted(layer) -> bool:
    """Returns whether a layer's rule provides what a regression needs."""
    rule = rule_of(layer)
    return defines(rule, "patches") and defines(rule, "weights_for")
