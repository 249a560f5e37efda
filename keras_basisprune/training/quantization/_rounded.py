"""Builds a network that rounds weights and activations."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.layers import (
    FakeQuantize,
    FixedFakeQuantize,
    QuantizedWeights,
)
from keras_basisprune.training.quantization._rounding_calls import with_rounding
from keras_basisprune.training.quantization._small_weights import can_be_small


@dataclasses.dataclass(frozen=True)
class Form:
    """The numbers that a network is rounded to.

    Attributes:
        weight_bits: Bits of each weight, or a dict of them by the names of layers;
            layers that are not named have 8.
        activation_bits: Bits of each activation.
        ranges: `"moving"` or `"learned"`.
    """

    weight_bits: int | dict[str, int]
    activation_bits: int
    ranges: str


def rounded(model, traced, places, form, unchanged) -> keras.Model:
    """Puts rounding into a network.

    Args:
        model: The Functional `keras.Model`.
        traced: Its `Trace`.
        places: Maps the `id`s of tensors to `Place`s.
        form: A `Form`.
        unchanged: The `id`s of layers that stay in float.

    Returns:
        A new Functional `keras.Model`.
    """
    layers = _layers(places, form)
    weights = _ranges(places, layers)
    kept = {id(layer): layer for layer in layers.values()}

    def replace(op, name):
        if id(op) in kept:
            return [NewLayer(clone(op, name), weights.get(id(op), {}))]
        if id(op) in unchanged or not QuantizedWeights.accepts(op):
            return None
        return [_with_rounded_kernel(op, name, form)]

    with_scale = {
        id(call.op)
        for call in traced.calls
        if id(call.op) not in unchanged and QuantizedWeights.accepts(call.op)
    }
    added = with_rounding(traced, places, layers, with_scale)
    return rewrite(model, replace, added)


def _layers(places, form) -> dict:
    """Makes a layer for each group of tensors that share a range."""
    groups: dict[int, list] = {}
    for place in places.values():
        groups.setdefault(place.group, []).append(place)
    made = {}
    for group, members in groups.items():
        own = [place for place in members if place.member is not None]
        first = own[0]
        given = {"bits": form.activation_bits, "name": f"range_{len(made)}"}
        if first.fixed:
            given["while_training"] = not first.result
            given["ties_up"] = first.given
            made[group] = FixedFakeQuantize(*_around_zero(first), **given)
        else:
            given |= {"ranges": form.ranges, "members": len(own)}
            made[group] = FakeQuantize(**given)
    return made


def _around_zero(place):
    return min(place.low, 0.0), max(place.high, 0.0)


def _ranges(places, layers):
    found: dict[int, dict] = {}
    for place in places.values():
        layer = layers[place.group]
        if isinstance(layer, FakeQuantize) and place.member is not None:
            arrays = found.setdefault(
                id(layer),
                {name: np.zeros(layer.members) for name in ("low", "high")},
            )
            arrays["low"][place.member] = min(place.low, 0.0)
            arrays["high"][place.member] = max(place.high, 0.0)
    return found


def _with_rounded_kernel(layer, name, form) -> NewLayer:
    bits = form.weight_bits
    if isinstance(bits, dict):
        bits = bits.get(name, 8)
    if not can_be_small(layer):
        bits = 8
    made = QuantizedWeights(
        clone(layer, name), bits=bits, ranges=form.ranges, name=name
    )
    made.trainable = layer.trainable
    weights = {"layer.kernel": _array(layer.kernel)}
    if layer.use_bias:
        weights["layer.bias"] = _array(layer.bias)
    if form.ranges == "learned":
        weights["limit"] = made.limits_of(weights["layer.kernel"])
    return NewLayer(made, weights)


def _array(value) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(value))
