"""Counts weights and multiply-adds, call by call."""

import dataclasses
import math
import re

import keras

from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.call_flops import call_flops
from keras_basisprune.utils.shortened import shortened


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of a layer.

    Attributes:
        name: The layer's name.
        kind: Its class name.
        params: Number of weights, counted once if the layer is shared.
        flops: 2 x multiply-adds for one sample, over all calls of the layer.
        bytes: Size of the weights in memory.
    """

    name: str
    kind: str
    params: int
    flops: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a model.

    Attributes:
        params: Number of weights, trainable or not.
        flops: 2 x multiply-adds of all layers that multiply by kernels, for one sample.
        bytes: Size of the weights in memory.
        layers: A `LayerCost` per layer that has weights or FLOPs, in order.
        uncounted: Names of layers whose FLOPs are not known; they count as 0.
    """

    params: int
    flops: int
    bytes: int
    layers: tuple[LayerCost, ...]
    uncounted: tuple[str, ...]

    def __str__(self):
        text = f"{self.params:,} parameters, {self.flops:,} FLOPs, {self.bytes:,} bytes"
        if self.uncounted:
            text += f" (FLOPs without {shortened(self.uncounted, 5)})"
        return text


def count(model, input_shape=None, argument="model") -> Cost:
    """Counts what `cost` returns."""
    return count_calls(trace(model, input_shape, argument))


def count_calls(traced) -> Cost:
    """Counts what `cost` returns, for a traced model."""
    found: dict[int, LayerCost] = {}
    uncounted: dict[str, None] = {}
    seen: set[int] = set()
    for call in traced.calls:
        layer = call.op
        flops = call_flops(call)
        if flops is None:
            flops = 0
            uncounted[layer.name] = None
        if id(layer) in found:
            known = found[id(layer)]
            found[id(layer)] = dataclasses.replace(known, flops=known.flops + flops)
        elif flops or len(getattr(layer, "weights", ())):
            found[id(layer)] = _layer_cost(layer, flops, seen)
    layers = tuple(found.values())
    return Cost(
        sum(layer.params for layer in layers),
        sum(layer.flops for layer in layers),
        sum(layer.bytes for layer in layers),
        layers,
        tuple(uncounted),
    )


def _layer_cost(layer, flops, seen):
    """Returns the `LayerCost` of a layer's first call; weights count only once."""
    weights = [w for w in getattr(layer, "weights", ()) if id(w) not in seen]
    seen |= {id(w) for w in weights}
    sizes = [math.prod(w.shape) for w in weights]
    return LayerCost(
        layer.name,
        type(layer).__name__,
        sum(sizes),
        flops,
        sum(size * _itemsize(w) for size, w in zip(sizes, weights, strict=True)),
    )


def _itemsize(weight):
    bits = re.search(r"\d+", keras.backend.standardize_dtype(weight.dtype))
    return max(1, int(bits[0]) // 8) if bits else 1
