"""Layers that weigh channels, added to a model as it was read."""

import dataclasses

import keras

from keras_basisprune.graph.trace import Call, Trace
from keras_basisprune.layers import ChannelScaling
from keras_basisprune.methods._scaling_sites import Site


def with_scales(traced: Trace, sites: list[Site], l1: float) -> Trace:
    """Adds a call of `ChannelScaling` at each site.

    Args:
        traced: A `Trace` of a flat model.
        sites: Its `Site`s.
        l1: Strength of the regularization.

    Returns:
        A `Trace` from which a model can be rebuilt; the given one is not changed.
    """
    layers: dict[str, ChannelScaling] = {}
    behind: dict[int, list] = {}  # what makes a tensor is followed by these calls
    instead: dict[tuple[int, int], keras.KerasTensor] = {}
    made = traced.producers()
    for site in sites:
        tensor = site.tensor
        if site.layer not in layers:
            layers[site.layer] = ChannelScaling(
                data_format=site.data_format,
                l1=l1 or None,
                dtype=_policy(tensor.dtype),
                name=ChannelScaling.name_for(site.layer),
            )
            layers[site.layer].build(tensor.shape)
        output = keras.KerasTensor(tensor.shape, dtype=tensor.dtype)
        call = Call(layers[site.layer], (tensor,), {}, output)
        behind.setdefault(id(made[id(tensor)]), []).append(call)
        for reader in site.readers:
            instead[id(reader), id(tensor)] = output
    calls: list[Call] = []
    for call in traced.calls:
        given = keras.tree.map_structure(
            lambda value, call=call: instead.get((id(call), id(value)), value),
            {"args": call.args, "kwargs": call.kwargs},
        )
        calls += [dataclasses.replace(call, **given), *behind.get(id(call), ())]
    return dataclasses.replace(traced, calls=calls)


def _policy(dtype) -> str:
    """Scales of half precision would stand still: they are kept in float32."""
    return f"mixed_{dtype}" if dtype in ("float16", "bfloat16") else dtype
