"""The last layers of a model."""

from collections.abc import Callable

import keras

from keras_basisprune.graph.trace import Trace


def last_layers(traced: Trace, fits: Callable[[keras.Operation], bool]) -> list:
    """Finds the last layers of a kind on the way to each output.

    Args:
        traced: A model's `Trace`.
        fits: Whether a layer (or other operation) is of that kind.

    Returns:
        A list of layers, each once. Time is linear in the number of calls.
    """
    made, seen = traced.producers(), set()
    found: dict[int, keras.Operation] = {}
    pending = keras.tree.flatten(traced.outputs)
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen or id(tensor) not in made:
            continue
        seen.add(id(tensor))
        call = made[id(tensor)]
        if fits(call.op):
            found[id(call.op)] = call.op
        else:
            pending += call.input_tensors
    return list(found.values())
