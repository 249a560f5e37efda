"""Finds the calls of BatchNormalization in a model."""

import keras

from keras_basisprune.graph.trace import Trace


def norm_positions(traced: Trace) -> list[int]:
    """Finds the calls of BatchNormalization, the first one of each layer.

    Layers inside wrappers such as `TimeDistributed` are not included.

    Args:
        traced: A model's `Trace`.

    Returns:
        A list of positions in `traced.calls`, ascending.
    """
    first: dict[int, int] = {}
    for position, call in enumerate(traced.calls):
        if type(call.op) is keras.layers.BatchNormalization:
            first.setdefault(id(call.op), position)
    return list(first.values())
