"""Chooses groups of channels by what the network's outputs lose without them."""

import numpy as np

from keras_basisprune.linalg import convex_slopes
from keras_basisprune.plans._channel_choice import ChannelChoice, makers_of
from keras_basisprune.plans._check_measured import curves_of

_ITERATIONS = 12
_ORDER = 1e-7  # by which scores within a block differ at least, relatively
_LEAST = 1e-15


class MeasuredChoice(ChannelChoice):
    """Minimizes the sum of the losses that were measured, for a cost.

    Each group is scored by the loss that its removal adds (along the lower convex hull
    of its block's curve) per cost that it saves: groups of all blocks are removed up to
    the same ratio, which is the Lagrange multiplier of the cost. What a group saves
    depends on how many channels its neighbours keep, and so is counted again at each
    solution, until it is consistent with it.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        groups: Its `ChannelGroups`.
        found: A `Sensitivity` of this model. Groups that are in none of its curves are
            kept.
        evenness: Float >= 0, how much is added to the losses so that no layer is left
            with far fewer of its channels than others: per cost, and where less than
            half of a layer's channels is left, a share `s`, `evenness (1 / (2 s)^2 -
            1)` times what the median layer loses at half of them. For losses that are
            not known well.

    Raises:
        ValueError: If the record is of another model.
    """

    def __init__(self, traced, channels, groups, found, evenness=0.0):
        self._evenness = evenness
        self._losses = np.full(len(groups), np.inf)
        self._curves = []
        for curve, members in _members(found, makers_of(traced, channels)):
            expected = curve.expected()
            slopes = np.maximum(convex_slopes(expected), _LEAST)
            self._losses[members] = slopes * (1 + _ORDER * np.arange(len(slopes)))
            self._curves.append((members, expected))
        masked = np.zeros(len(groups), bool)
        super().__init__(traced, channels, groups, self._losses, masked, "global")

    def within(self, costs, keep, limits, unit):
        """As in `ChannelChoice`: the selection with the least predicted loss."""
        each, best, least = costs.marginal(), None, np.inf
        even = self._even(each)
        seen: set[bytes] = set()
        for _ in range(_ITERATIONS):
            self._scores = self._losses / np.where(each > 0, each, 1.0) + even
            kept = super().within(costs, keep, limits, unit)
            if (loss := self._predicted(kept)) < least or best is None:
                best, least = kept, loss
            if kept.tobytes() in seen:
                break
            seen.add(kept.tobytes())
            each = np.sqrt(each * costs.marginal(kept))
        return best

    def _even(self, each):
        """Returns what is added to the loss per cost of each group."""
        added, halves = np.zeros(len(self._losses)), []
        for members, _ in self._curves:
            left = 1 - np.arange(len(members)) / (len(members) + 1)
            added[members] = np.maximum(1 / (2 * left) ** 2 - 1, 0)
            half = members[len(members) // 2]
            if each[half] > 0:
                halves.append(self._losses[half] / each[half])
        return added * (self._evenness * np.median(halves or [0.0]))

    def _predicted(self, kept) -> float:
        return sum(
            expected[np.count_nonzero(~kept[members])]
            for members, expected in self._curves
        )


def _members(found, makers):
    """Yields each curve of channels, and the groups that leave, in order."""
    sizes = {name: len(of) for name, of in makers.items()}
    for curve in curves_of(found, "channels", sizes):
        yield curve, makers[curve.layer][list(curve.order)]
