"""What is inside of attention layers with heads: projections, and what they read."""

import inspect
import operator

import keras

ATTENTION = (keras.layers.GroupQueryAttention, keras.layers.MultiHeadAttention)


def argument_order(call) -> tuple[str, ...]:
    """The arguments of a call that are tensors, in the order of `input_tensors`."""
    named = inspect.signature(call.op.call).bind(*call.args, **call.kwargs).arguments
    positional = list(named)[: len(call.args)]
    order = [*positional, *sorted(call.kwargs)]
    symbolic = keras.KerasTensor
    return tuple(name for name in order if isinstance(named[name], symbolic))


def projections(layer) -> dict[str, tuple[str, ...]]:
    """The projections of an attention layer: names of what each tensor goes through.

    Args:
        layer: A layer of a class in `ATTENTION`.

    Returns:
        A dict from `"query"`, `"key"` and `"value"` to names of sublayers.
    """
    gate = ("gate_dense",) if layer.get_config().get("use_gate") else ()
    return {
        "query": ("query_dense", *gate),
        "key": ("key_dense",),
        "value": ("value_dense",),
    }


def projection_path(layer, name, weight="kernel") -> str:
    """The attribute of an attention layer that holds a weight of a projection.

    Not all have a public name: those of grouped queries, and gates.
    """
    public = isinstance(getattr(layer, name, None), keras.layers.Layer)
    return f"{name}.{weight}" if public else f"_{name}.{weight}"


def projection(layer, name, weight="kernel"):
    """A weight of a projection."""
    return operator.attrgetter(projection_path(layer, name, weight))(layer)
