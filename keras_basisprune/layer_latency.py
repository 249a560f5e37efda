"""Milliseconds of each decomposed layer, as ranks are to be chosen by them."""

import collections
import pathlib
import tempfile

import keras

from keras_basisprune.export import export_tflite
from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.rewrite import clone
from keras_basisprune.measure import latency
from keras_basisprune.trace import trace


def layer_latency(model, threads=1, runs=30) -> dict[str, float]:
    """Measures how long the layers take on LiteRT that were decomposed.

    Each layer is exported by itself in float32, as it was before it was decomposed, and
    timed on this machine with random inputs of the size that it gets in the model;
    layers of the same kind and size are timed once. That takes about a second for each
    that differs.

    Args:
        model: A converted model with known input sizes.
        threads: Number of threads to run LiteRT with.
        runs: How many runs to time per layer.

    Returns:
        A dict from the name of each decomposed layer to milliseconds (the median, times
        the number of its calls), for `allocate(model, keep, cost=...)`.

    Raises:
        ValueError: If the model is not converted, or sizes of its input are unknown.

    Example:

    >>> milliseconds = keras_basisprune.layer_latency(converted)
    >>> plan = keras_basisprune.allocate(converted, 0.25, cost=milliseconds)
    """
    traced = trace(model)
    pairs = basis_pairs(traced, model.name)
    names = {id(pair.basis): name for name, pair in pairs.items()}
    known: dict[tuple, float] = {}
    found: dict[str, float] = collections.defaultdict(float)
    for call in traced.calls:
        name = names.get(id(call.op))
        if name is None:
            continue
        shape = tuple(call.input_tensors[0].shape[1:])
        if None in shape:
            raise ValueError(
                "Expected a model with a fixed input size. Received: an input of shape "
                f"{shape} for `{name}`. Build the model with a full "
                "`keras.Input(shape)`."
            )
        layer = _original(call.op, pairs[name].scaling.filters)
        key = (shape, type(layer), str({**layer.get_config(), "name": ""}))
        if key not in known:
            known[key] = _milliseconds(layer, shape, threads, runs)
        found[name] += known[key]
    return dict(found)


def _original(basis, cout):
    """The layer that was decomposed, without its activation."""
    width = "units" if isinstance(basis, keras.layers.Dense) else "filters"
    return clone(basis, "layer", **{width: cout, "kernel_initializer": "ones"})


def _milliseconds(layer, shape, threads, runs) -> float:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "layer.tflite"
        export_tflite(model, path, tolerance=None)
        return latency(path, threads=(threads,), runs=runs).litert[threads].median_ms
