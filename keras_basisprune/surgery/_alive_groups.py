"""Which groups of channels a plan leaves alive."""

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.utils.shortened import shortened


def alive_groups(traced, channels, plan, pairs) -> np.ndarray:
    """Checks a plan and says which groups of channels it keeps.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        plan: A `Plan`.
        pairs: The model's `BasisPair`s by name.

    Returns:
        A boolean array of shape `(groups,)`.

    Raises:
        ValueError: If the plan does not fit the model, tied channels are both kept and
            left out, or a channel can't leave.
    """
    alive = np.ones(channels.count, bool)
    _mark_bases(plan, pairs, traced, channels, alive)
    _mark_channels(plan, groups_of(traced, channels), alive)
    return alive


def _mark_bases(plan, pairs, traced, channels, alive):
    """Marks the basis features that leave."""
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
        alive[np.delete(groups, kept.indices)] = False


def _mark_channels(plan, groups, alive):
    """Marks the channels that leave."""
    kept_by, left_by = {}, {}
    for name, kept in plan.channels.items():
        if name not in groups.layers:
            raise ValueError(
                "Expected `plan` to name layers of `model` that make channels. "
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
        left_by |= dict.fromkeys(np.delete(found, kept.indices).tolist(), name)
    for group, name in left_by.items():
        if group in groups.pinned:
            raise ValueError(
                f"Expected `plan` to keep the channels of `{name}` that can't leave. "
                f"Received: one of them left out ({groups.pinned[group]}). "
                "`channel_groups(model)` says which channels may leave."
            )
        if group in kept_by:
            raise ValueError(
                "Expected `plan` to treat tied channels alike. Received: one that "
                f"`{kept_by[group]}` keeps and `{name}` leaves out. Name one of the "
                "two layers only, or both alike (`channel_groups(model)`)."
            )
        alive[group] = False
