"""FLOPs of attention."""

import math

import keras

from keras_basisprune.graph.rules._projections import (
    argument_order,
    projection_path,
    projections,
)


def attention_flops(call, layer, shapes) -> int | None:
    """Counts `Attention` and `AdditiveAttention`: scores, and the sum of values."""
    given = call.args[0] if call.args else call.kwargs["inputs"]
    query, value = shapes.inputs[:2]
    key = shapes.inputs[2] if len(given) > 2 else value
    pairs = shapes.product([*query[1:-1], value[-2]])
    if pairs is None:
        return None
    additive = isinstance(layer, keras.layers.AdditiveAttention)
    mode = getattr(layer, "score_mode", None)
    multiplied = layer.use_scale if additive else mode != "concat"
    return 2 * pairs * (multiplied * key[-1] + value[-1])


def headed_attention_flops(call, layer, shapes) -> int | None:
    """Counts attention with heads: projections, scores, and the sum of values."""
    given = dict(zip(argument_order(call), shapes.inputs, strict=True))
    given.setdefault("key", given["value"])
    sizes = {name: given[name][1:-1] for name in ("query", "key", "value")}
    if any(None in size for size in sizes.values()):
        return None
    places = {name: math.prod(size) for name, size in sizes.items()}

    def weights(name):
        return shapes.weight(layer, projection_path(layer, name))

    total = math.prod(weights("output_dense")) * places["query"]
    for source, names in projections(layer).items():
        total += sum(math.prod(weights(name)) for name in names) * places[source]
    axes = getattr(layer, "attention_axes", None)
    attended = places["value"]
    if axes:
        rank = len(given["value"])
        attended = math.prod(given["value"][axis % rank] for axis in axes)
    heads, depth = weights("query_dense")[-2:]
    products = places["query"] * attended * heads
    return 2 * (total + products * (depth + weights("value_dense")[-1]))
