"""Which methods can remove something from a network."""

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.decomposable import decomposable, decomposed_unasked
from keras_basisprune.graph.trace import trace

_SHOWN = 20  # layers, in a message


def cuttable(model, methods) -> tuple[str, ...]:
    """Finds the methods that can remove something, before anything is tried.

    Args:
        model: A Functional or Sequential `keras.Model`, flat.
        methods: Some of `"basis"` and `"channels"`.

    Returns:
        Those of them that can remove something.

    Raises:
        ValueError: If there is none, with the reason for every layer with weights.
    """
    traced = trace(model)
    layers = list({id(call.op): call.op for call in traced.calls}.values())
    layers = [layer for layer in layers if getattr(layer, "weights", ())]
    reasons: dict[str, list[str]] = {layer.name: [] for layer in layers}
    found = []
    if "basis" in methods:
        obstacles = [_no_basis(layer) for layer in layers]
        if None in obstacles:
            found.append("basis")
        for layer, reason in zip(layers, obstacles, strict=True):
            reasons[layer.name] += [f"bases: {reason}"] if reason else []
    if "channels" in methods:
        groups = groups_of(traced, channel_map(traced))
        if groups.count > len(groups.pinned):
            found.append("channels")
        for name, of in groups.layers.items():
            known = np.unique(of)[:1]
            why = [groups.pinned[group] for group in known if group in groups.pinned]
            reasons[name] += [f"channels: {reason}" for reason in why]
    if not found:
        rows = [f"`{name}` ({'; '.join(why)})" for name, why in reasons.items() if why]
        seen = "; ".join(rows[:_SHOWN]) or "a model without weights"
        raise ValueError(
            "Expected `model` to have a layer of which bases or channels can leave, "
            f"with methods={list(methods)}. Received: {seen}. Pass a model with "
            "convolutions or with hidden layers, or both methods."
        )
    return tuple(found)


def _no_basis(layer) -> str | None:
    """Why no basis is taken of a layer; `None` if one is."""
    reason = decomposable(layer)
    if reason is None and not decomposed_unasked(layer):
        return "only convolutions are decomposed in a search"
    return reason
