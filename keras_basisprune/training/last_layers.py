"""Finds the last layers of a model that have weights."""

import keras

from keras_basisprune.graph.trace import Trace


def last_layers(read: Trace) -> list:
    """Returns the last layers with weights on the way to each output.

    Args:
        read: A model's `Trace`.

    Returns:
        A list of layers, each once.
    """
    made, seen, found = read.producers(), set(), {}
    pending = keras.tree.flatten(read.outputs)
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen or id(tensor) not in made:
            continue
        seen.add(id(tensor))
        call = made[id(tensor)]
        if getattr(call.op, "weights", None):
            found[id(call.op)] = call.op
        else:
            pending += call.input_tensors
    return list(found.values())
