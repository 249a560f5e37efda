"""The groups of channels that a plan keeps."""

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.utils.shortened import shortened


def kept_groups(traced, channels, plan, pairs) -> np.ndarray:
    """Checks a plan, and returns which groups of channels it keeps.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        plan: A `Plan`.
        pairs: The model's `BasisPair`s by name.

    Returns:
        A boolean array of shape `(groups,)`.

    Raises:
        ValueError: If the plan does not fit the model, keeps some of several tied
            channels and removes others, or removes a channel that must be kept.
    """
    mask = np.ones(channels.count, bool)
    _mark_bases(plan, pairs, traced, channels, mask)
    _mark_channels(plan, groups_of(traced, channels), mask)
    return mask


def _mark_bases(plan, pairs, traced, channels, mask):
    """Marks the basis features that are removed."""
    outputs = {id(call.op): call.output_tensors[0] for call in traced.calls}
    for name, kept in plan.bases.items():
        if name not in pairs:
            raise ValueError(
                "Expected `plan` to name decomposed layers of `model`. Received: "
                f"`{name}`; there are [{shortened(map(repr, pairs))}]. Make it "
                "from this model."
            )
        if kept.total != pairs[name].rank:
            raise ValueError(
                f"Expected `plan` to count {pairs[name].rank} bases in `{name}`. "
                f"Received: total={kept.total}. Make the plan from this model."
            )
        groups = channels.of(outputs[id(pairs[name].basis)])
        mask[np.delete(groups, kept.indices)] = False


def _mark_channels(plan, groups, mask):
    """Marks the channels that are removed."""
    kept_by, removed_by = {}, {}
    for name, kept in plan.channels.items():
        if name not in groups.layers:
            raise ValueError(
                "Expected `plan` to name layers of `model` that output channels. "
                f"Received: `{name}`; there are "
                f"[{shortened(map(repr, groups.layers))}]. Make it from this model."
            )
        found = groups.layers[name]
        if kept.total != len(found):
            raise ValueError(
                f"Expected `plan` to count {len(found)} channels of `{name}`. "
                f"Received: total={kept.total}. Make the plan from this model."
            )
        kept_by |= dict.fromkeys(found[list(kept.indices)].tolist(), name)
        removed_by |= dict.fromkeys(np.delete(found, kept.indices).tolist(), name)
    for group, name in removed_by.items():
        if group in groups.pinned:
            raise ValueError(
                f"Expected `plan` to keep the channels of `{name}` that can't be "
                f"removed. Received: a plan without one ({groups.pinned[group]}). "
                "`channel_groups(model)` says which channels may be removed."
            )
        if group in kept_by:
            raise ValueError(
                "Expected `plan` to treat tied channels alike. Received: one that "
                f"`{kept_by[group]}` keeps and `{name}` removes. Name only one of the "
                "two layers, or keep the same of both (`channel_groups(model)`)."
            )
        mask[group] = False
