"""The projections of attention layers with heads, and what they read."""

import inspect
import operator

import keras

ATTENTION = (keras.layers.GroupQueryAttention, keras.layers.MultiHeadAttention)


def argument_order(call) -> tuple[str, ...]:
    """Returns a call's tensor arguments in the order of `input_tensors`."""
    named = inspect.signature(call.op.call).bind(*call.args, **call.kwargs).arguments
    positional = list(named)[: len(call.args)]
    order = [*positional, *sorted(call.kwargs)]
    symbolic = keras.KerasTensor
    return tuple(name for name in order if isinstance(named[name], symbolic))


def projections(layer) -> dict[str, tuple[str, ...]]:
    """Returns the projections of an attention layer, by the tensors that they read.

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
    """Returns the path of a projection's weight among an attention layer's attributes.

    Some have no public name, such as gates, and those of grouped queries.
    """
    public = isinstance(getattr(layer, name, None), keras.layers.Layer)
    return f"{name}.{weight}" if public else f"_{name}.{weight}"


def projection(layer, name, weight="kernel"):
    """Returns a weight of a projection."""
    return operator.attrgetter(projection_path(layer, name, weight))(layer)
