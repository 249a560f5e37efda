"""Reads or changes tensors inside a copy of a model."""

import keras

from keras_basisprune.graph.free_names import FreeNames
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.rules import rule_of


def ends(traced, makers) -> dict[int, int]:
    """Finds the tensors in which the outputs of layers are complete.

    These are after the BatchNormalization and the activation that follow, as long as
    nothing else reads the tensors in between.

    Args:
        traced: The model's `Trace`.
        makers: A list of the calls of each layer (a list of lists).

    Returns:
        A dict from `id(tensor)` to the number of the layer in `makers`, one entry for
        each call.
    """
    readers = traced.consumers()
    results = {id(tensor) for tensor in keras.tree.flatten(traced.outputs)}
    found = {}
    for number, calls in enumerate(makers):
        for call in calls:
            tensor = call.output_tensors[0]
            while id(tensor) not in results:
                after = readers.get(id(tensor), [])
                if len(after) != 1 or not _follows(after[0].op):
                    break
                tensor = after[0].output_tensors[0]
            found[id(tensor)] = number
    return found


def _follows(op) -> bool:
    return getattr(rule_of(op), "follows", False)


def rebuild(model, traced, change):
    """Calls the layers of a copy of a model, and changes tensors in between.

    The given model is not changed, and its layers get no new node.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        traced: Its `Trace`.
        change: `change(before, after, free)` gets each tensor of `traced`, the new one
            and the `FreeNames` for operations that it adds, and returns the tensor to
            read instead of the new one.

    Returns:
        A pair of the inputs and the outputs, in the structures of the model.
    """
    clones = {}

    def replace(op, name):
        clones[id(op)] = clone(op, name)
        return [NewLayer(clones[id(op)])]

    copy = rewrite(model, replace, traced)
    olds, free = keras.tree.flatten(traced.inputs), FreeNames(copy.operations)
    tensors = {id(a): b for a, b in zip(olds, copy.inputs, strict=True)}

    def new(value):
        return tensors[id(value)] if isinstance(value, keras.KerasTensor) else value

    for call in traced.calls:
        args, kwargs = keras.tree.map_structure(new, (call.args, call.kwargs))
        made = keras.tree.flatten(clones[id(call.op)](*args, **kwargs))
        for before, after in zip(call.output_tensors, made, strict=True):
            tensors[id(before)] = change(before, after, free)
    inputs = keras.tree.pack_sequence_as(traced.inputs, copy.inputs)
    return inputs, keras.tree.map_structure(new, traced.outputs)
