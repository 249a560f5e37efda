"""What became of every layer, and the spectra by which it was cut."""

import math

import keras

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_groups import channel_groups
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import cost, describe

_POINTS = 256  # of a spectrum, at most
_PARTS = ("_basis", "_depthwise")  # of what stands for a decomposed layer


def layer_rows(model, small) -> list[dict]:
    """What is left of each layer that has a kernel.

    Args:
        model: The original `keras.Model`, flat.
        small: The folded result, in which `<layer>_basis` and `<layer>` stand for a
            layer that has been decomposed.

    Returns:
        A list of dicts: `"name"`, `"kind"`, `"channels"` (output channels kept, and in
        all; `None` if it isn't known), `"rank"` (the same of bases; `None` if it isn't
        decomposed), `"params"` and `"flops"` (before, after) and `"reason"` (why it was
        left alone, or `None`).
    """
    before = {layer.name: layer for layer in cost(model).layers}
    after = {layer.name: layer for layer in cost(small).layers}
    old = {layer.name: layer for layer in model.layers}
    new = {layer.name: layer for layer in small.layers}
    groups, rows = channel_groups(model), []
    for described in describe(model).layers:
        name = described.name
        if name not in new:
            continue
        stands = [name, *(name + part for part in _PARTS if name + part not in old)]
        parts = [after[stand] for stand in stands if stand in after]
        basis = None if f"{name}_basis" in old else new.get(f"{name}_basis")
        reason, width = described.reason, _width(old[name])
        cut = basis is not None or _width(new[name]) != width
        if reason == "not converted" or cut:
            reason = None
        if reason is None and name in groups.layers and not groups.prunable(name).any():
            reason = f"channels: {groups.pinned[int(groups.layers[name][0])]}"
        if described.flops is None:
            reason = "; ".join(filter(None, (reason, "its FLOPs are not counted")))
        rows.append(
            {
                "name": name,
                "kind": described.kind,
                "channels": width and [_width(new[name]), width],
                "rank": basis and [_width(basis), min(described.matrix or ())],
                "params": [before[name].params, sum(part.params for part in parts)],
                "flops": [before[name].flops, sum(part.flops for part in parts)],
                "reason": reason,
            }
        )
    return rows


def spectra(converted, rows) -> list[dict]:
    """Singular values of the layers' outputs, and how many bases are left.

    Args:
        converted: The original, converted at full rank; `None` for no spectra.
        rows: What `layer_rows` returned.

    Returns:
        A list of dicts: `"name"`, `"singular_values"` (descending, relative to the
        largest, 256 of them at most) and `"rank"`.
    """
    if converted is None:
        return []
    ranks = {row["name"]: row["rank"] and row["rank"][0] for row in rows}
    found = []
    for name, pair in basis_pairs(trace(converted)).items():
        values = sorted(map(float, pair.singular_values), reverse=True)
        values = [value / (values[0] or 1.0) for value in values]
        rank = ranks.get(name) or len(values)
        found.append({"name": name, "singular_values": values[:_POINTS], "rank": rank})
    return found


def _width(layer) -> int | None:
    """Number of output channels."""
    for name in ("filters", "units"):
        if getattr(layer, name, None):
            return int(getattr(layer, name))
    if isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D):
        return math.prod(layer.kernel.shape[-2:])
    return None
