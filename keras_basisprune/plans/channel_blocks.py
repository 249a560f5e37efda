"""The channels that a layer makes, in the order and the steps in which they leave."""

import dataclasses

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.plans._channel_choice import (
    excluded_groups,
    fix_some,
    makers_of,
)
from keras_basisprune.plans.limits import Limits


@dataclasses.dataclass(frozen=True)
class ChannelBlock:
    """Groups of channels that a search decides on together.

    Attributes:
        name: The first layer that makes them.
        groups: Integer array: the groups that may leave, in the order that they leave.
        counts: Increasing integers, 0 first: how many of them may leave.
    """

    name: str
    groups: np.ndarray
    counts: tuple[int, ...]


def channel_blocks(traced, channels, scores, limits=None, steps=16):
    """Divides the groups of channels that may leave by the layer that makes them first.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        scores: Array of shape `(groups,)`: the lowest leave first. Infinite ones stay.
        limits: What each layer keeps, and the multiple that is kept.
        steps: Integer, into how many steps a layer is divided at most: a step is
            `round_to` channels, or the smallest multiple of it that makes no more.

    Returns:
        A list of `ChannelBlock`s in the order of these layers.
    """
    limits = limits or Limits()
    groups = groups_of(traced, channels)
    stays = ~np.isfinite(scores)
    stays[list(groups.pinned)] = True
    stays[excluded_groups(traced, channels, limits.exclude)] = True
    fix_some(scores, stays, groups, channels, limits)
    blocks, done = [], stays.copy()
    for name, found in makers_of(traced, channels).items():
        mine = np.unique(found[~done[found]])
        done[mine] = True
        if len(mine):
            order = mine[np.argsort(scores[mine], kind="stable")]
            counts = _counts(len(found), len(mine), limits.round_to, steps)
            blocks.append(ChannelBlock(name, order, counts))
    return blocks


def _counts(width, free, round_to, steps) -> tuple[int, ...]:
    """How many of `width` channels may leave, so that a multiple is left."""
    step = round_to * -(-width // (round_to * steps))
    allowed = range(width % round_to, free + 1, round_to)
    counts = {0, *range(width % round_to, free + 1, step), *allowed[-1:]}
    return tuple(sorted(counts))
