"""Orders the calls of a model branch by branch."""

import dataclasses

import keras

from keras_basisprune.graph.trace import Call, Trace


def depth_first(traced: Trace) -> Trace:
    """Puts the calls of a model into an order that nesting does not change.

    Keras orders the calls of a graph by their distance from the outputs, where a nested
    model counts as one step. So the order of two branches, or of two calls of a shared
    layer, may change when the model is flattened. Here each call follows the calls that
    it reads from, in the order of its arguments. Time and memory are linear in the
    number of calls.

    Args:
        traced: A model's `Trace`.

    Returns:
        A `Trace` of the same `Call`s.
    """
    made, seen, calls = traced.producers(), set(), []
    pending = keras.tree.flatten(traced.outputs)[::-1]
    while pending:
        item = pending.pop()
        if isinstance(item, Call):
            calls.append(item)  # all that it reads is there
        elif (call := made.get(id(item))) and id(call) not in seen:
            seen.add(id(call))
            pending += [call, *call.input_tensors[::-1]]
    return dataclasses.replace(traced, calls=calls)
