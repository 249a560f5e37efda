"""Where a model normalizes by batch."""

import keras

from keras_basisprune.graph.trace import Trace


def norm_positions(traced: Trace) -> list[int]:
    """Positions of the calls of BatchNormalization, the first one of each layer.

    Layers inside wrappers such as `TimeDistributed` are not among them.

    Args:
        traced: A model's `Trace`.

    Returns:
        A list of positions in `traced.calls`, rising.
    """
    first: dict[int, int] = {}
    for position, call in enumerate(traced.calls):
        if type(call.op) is keras.layers.BatchNormalization:
            first.setdefault(id(call.op), position)
    return list(first.values())
