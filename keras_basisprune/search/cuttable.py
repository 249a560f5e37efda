"""Checks whether bases or channels of a network can be removed."""

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.decomposable import decomposable, decomposed_by_default
from keras_basisprune.graph.trace import trace
from keras_basisprune.methods import METHODS
from keras_basisprune.search.chosen_methods import short_name
from keras_basisprune.utils.shortened import shortened


def cuttable(model, chosen) -> tuple[str, ...]:
    """Returns which parts some methods can remove, before anything is tried.

    Methods that prepare a model, and those that are not in `METHODS`, are not checked:
    what they remove counts as possible.

    Args:
        model: A Functional or Sequential `keras.Model`, flat.
        chosen: What `chosen_methods` returned.

    Returns:
        A sorted tuple of `"bases"`, `"channels"` or both.

    Raises:
        ValueError: If nothing can be removed, with the reason for every layer with
            weights.
    """
    unchecked = [
        row for row in chosen if row.prepares or row is not METHODS.get(row.name)
    ]
    possible = {part for row in unchecked for part in row.removes}
    checked = {part for row in chosen if row not in unchecked for part in row.removes}
    if checked:
        found, reasons = _removable(model, checked)
        possible |= set(found)
    if not possible:
        rows = [f"`{name}` ({'; '.join(why)})" for name, why in reasons.items() if why]
        seen = shortened(rows, between="; ") or "a model without weights"
        raise ValueError(
            "Expected `model` to have a layer whose bases or channels can be removed, "
            f"with methods={[short_name(row) for row in chosen]}. Received: {seen}. "
            "Pass a model with convolutions or with hidden layers, or methods for both."
        )
    return tuple(sorted(possible))


def _removable(model, parts) -> tuple[list[str], dict[str, list[str]]]:
    """Returns the parts that can be removed, and by layer the reasons why not."""
    traced = trace(model)
    layers = list({id(call.op): call.op for call in traced.calls}.values())
    layers = [layer for layer in layers if getattr(layer, "weights", ())]
    reasons: dict[str, list[str]] = {layer.name: [] for layer in layers}
    found = []
    if "bases" in parts:
        obstacles = [_obstacle(layer) for layer in layers]
        if None in obstacles:
            found.append("bases")
        for layer, reason in zip(layers, obstacles, strict=True):
            reasons[layer.name] += [f"bases: {reason}"] if reason else []
    if "channels" in parts:
        groups = groups_of(traced, channel_map(traced))
        if groups.count > len(groups.pinned):
            found.append("channels")
        for name, of in groups.layers.items():
            known = np.unique(of)[:1]
            why = [groups.pinned[group] for group in known if group in groups.pinned]
            reasons[name] += [f"channels: {reason}" for reason in why]
    return found, reasons


def _obstacle(layer) -> str | None:
    """Returns why a layer is not decomposed; `None` if it is."""
    reason = decomposable(layer)
    if reason is None and not decomposed_by_default(layer):
        return "only convolutions are decomposed in a search"
    return reason
