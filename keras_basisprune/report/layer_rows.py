"""Rows on every layer of a report, and spectra."""

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rules import depthwise_name, known, rules_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import cost, describe

_POINTS = 256  # of a spectrum, at most


def layer_rows(model, small) -> list[dict]:
    """Describes what is kept of each layer that has a kernel.

    Args:
        model: The original `keras.Model`, flat.
        small: The folded result, in which `<layer>_basis` and `<layer>` stand for a
            layer that has been decomposed.

    Returns:
        A list of dicts: `"name"`, `"kind"`, `"channels"` (output channels kept and in
        total; `None` if not known), `"rank"` (bases kept and in total; `None` if the
        layer isn't decomposed), `"params"` and `"flops"` (before, after) and `"reason"`
        (why the layer is unchanged, or `None`).
    """
    traced = trace(model)
    before = {layer.name: layer for layer in cost(model).layers}
    after = {layer.name: layer for layer in cost(small).layers}
    old = {layer.name: layer for layer in model.layers}
    new = {layer.name: layer for layer in small.layers}
    groups, rows = groups_of(traced, channel_map(traced)), []
    for described in describe(model).layers:
        name = described.name
        if name not in new:
            continue
        halves = [half(name) for half in (basis_name, depthwise_name)]
        stands = [name, *(other for other in halves if other not in old)]
        parts = [after[stand] for stand in stands if stand in after]
        basis = None if basis_name(name) in old else new.get(basis_name(name))
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
    """Returns singular values of the layers' outputs, and how many bases are kept.

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
    """Returns the number of output channels."""
    for name in ("filters", "units"):
        if getattr(layer, name, None):
            return int(getattr(layer, name))
    if any(rule.depthwise(layer) for rule in rules_of(layer)):
        return known(layer, "filters", layer).shape[1]
    return None
