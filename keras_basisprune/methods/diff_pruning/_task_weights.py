"""Sorts the weights of a model: what a task's head has, and what is the base's."""

import dataclasses

from keras_basisprune.graph.last_layers import last_layers
from keras_basisprune.graph.trace import is_graph, trace
from keras_basisprune.training.all_layers import all_layers
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.shown import shown


@dataclasses.dataclass(frozen=True)
class TaskWeights:
    """The weights of a model.

    Attributes:
        base: List of the `keras.Variable`s of the base, in the model's order.
        head: List of those of the head, in the model's order.
        places: Where those of the head are among all weights of the model.
        layers: List of the layers of the head.
    """

    base: list
    head: list
    places: list[int]
    layers: list


def task_weights(model, head=None) -> TaskWeights:
    """Finds the weights of head and base.

    Args:
        model: A built `keras.Model`.
        head: List of names of layers, or one name; `None` for the last layer with
            weights: in a Functional model on the way to each output, else among
            `model.layers`.

    Raises:
        ValueError: If there is no such layer, or none with weights.
    """
    layers = _named(model, head) if head is not None else _last(model)
    found = {id(v) for layer in layers for v in layer.weights}
    if not found:
        raise ValueError(
            "Expected `head` to name layers with weights, which the task has for "
            f"itself. Received: head={head!r}, of model {model.name!r}, without any. "
            "Name the layers of the head."
        )
    return split_weights(model, [id(v) in found for v in model.weights], layers)


def split_weights(model, is_head, layers=()) -> TaskWeights:
    """Sorts the weights of a model by a list of booleans."""
    pairs = list(zip(model.weights, is_head, strict=True))
    return TaskWeights(
        [v for v, inside in pairs if not inside],
        [v for v, inside in pairs if inside],
        [place for place, (_, inside) in enumerate(pairs) if inside],
        list(layers),
    )


def owners(model, weights) -> list:
    """The innermost layers that have created some weights, in the model's order."""
    wanted, found = {id(v) for v in weights}, []
    for layer in all_layers(model):
        inside = {id(v) for part in all_layers(layer)[1:] for v in part.weights}
        own = {id(v) for v in layer.weights} - inside
        if own & wanted:
            found.append(layer)
    return found


def _named(model, head):
    names = [head] if isinstance(head, str) else head
    known = {layer.name: layer for layer in all_layers(model)[1:]}
    fits = isinstance(names, list | tuple) and all(
        isinstance(name, str) and name in known for name in names
    )
    if not fits or not names:
        raise ValueError(
            f"Expected `head` to name layers of the model. Received: "
            f"head={shown(head)}. "
            f"Its layers with weights are "
            f"{shortened([k for k, layer in known.items() if layer.weights])}."
        )
    return [known[name] for name in names]


def _last(model):
    if not is_graph(model):
        return [layer for layer in model.layers if layer.weights][-1:]
    return last_layers(trace(model), lambda op: bool(getattr(op, "weights", ())))
