"""Milliseconds of each decomposed layer, as ranks are to be chosen by them."""

import collections

import keras

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.folded_layers import folded_layers
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import LatencyTable
from keras_basisprune.utils.check_kind import check_kind


def layer_latency(
    model: keras.Model,
    threads: int = 1,
    runs: int = 30,
    table: LatencyTable | None = None,
) -> dict[str, float]:
    """Measures how long the layers take on LiteRT that were decomposed.

    Each layer is exported by itself in float32, as it was before it was decomposed, and
    timed on this machine with random inputs of the size that it gets in the model;
    layers of the same kind and size are timed once. That takes about a second for each
    that differs.

    Args:
        model: A converted model with known input sizes.
        threads: Number of threads to run LiteRT with.
        runs: How many runs to time per layer, at least.
        table: A `LatencyTable` to look up times in, and to put new ones into; `threads`
            and `runs` are its own then. Defaults to an empty one.

    Returns:
        A dict from the name of each decomposed layer to milliseconds (the median, times
        the number of its calls), for `allocate(model, keep, cost=...)`.

    Raises:
        ValueError: If the model is not converted, or sizes of its input are unknown.

    Example:

    >>> milliseconds = keras_basisprune.layer_latency(converted)
    >>> plan = keras_basisprune.allocate(converted, 0.25, cost=milliseconds)
    """
    new = LatencyTable(threads=threads, runs=runs)
    if table is None:
        table = new
    check_kind("table", table, LatencyTable, "Make one: `LatencyTable()`.")
    traced = trace(model)
    pairs = basis_pairs(traced, model.name)
    names = {id(pair.basis): name for name, pair in pairs.items()}
    found: dict[str, float] = collections.defaultdict(float)
    for call in traced.calls:
        name = names.get(id(call.op))
        if name is None:
            continue
        shape = tuple(call.input_tensors[0].shape[1:])
        pair = pairs[name]
        (layer,) = folded_layers(pair, min(pair.matrix))  # at full rank: the original
        found[name] += table.milliseconds(layer, shape)
    return dict(found)
