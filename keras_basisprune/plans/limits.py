"""Limits of a selection of bases or channels."""

import dataclasses
from typing import Any

from keras_basisprune.graph.match_layers import check_patterns
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a selection of bases or channels.

    For bases, "layer" means a decomposed layer. For channels, it means a layer with
    weights, which computes channels or passes them on (depthwise convolutions and
    BatchNormalization, also of a slice).

    Attributes:
        min_kept: The smallest number of bases or channels that each layer keeps.
        round_to: The number that a layer keeps is rounded up to a multiple of this (at
            most to the full number), since some runtimes are fastest at multiples of 8.
            Normalization is as wide as its input.
        max_removed: Float in (0, 1], the largest share that any layer loses.
        exclude: Layers that lose nothing (except what is masked already). A layer name
            or regular expression, a layer class, a predicate `layer -> bool`, or a list
            of these. For channels, operators without weights can be named too (an
            `Add`, an activation): all of their output channels are kept, with all
            channels of other layers that are tied to them. Their input channels may be
            removed, unless they are tied to the outputs.

    Example:

    >>> limits = keras_basisprune.Limits(round_to=8, exclude="stem.*")
    >>> plan = keras_basisprune.select_channels(model, keep=0.5, limits=limits)
    """

    min_kept: int = 1
    round_to: int = 1
    max_removed: float = 1.0
    exclude: Any = ()

    def __post_init__(self):
        for name in ("min_kept", "round_to"):
            check_whole(name, getattr(self, name), remedy="1 demands nothing.")
        expected = "a float in (0, 1], the largest share that a layer loses"
        remedy = "1.0 limits nothing."
        check_number("max_removed", self.max_removed, "(0, 1]", expected, remedy)
        check_patterns("exclude", () if self.exclude is None else self.exclude)

    def least(self, count: int) -> int:
        """Returns the smallest number of `count` that a layer keeps, not rounded."""
        kept = count - int(self.max_removed * count)
        return min(max(self.min_kept, kept), count)

    def rounded(self, kept: int, count: int) -> int:
        """Returns `kept`, rounded up as `round_to` says, at most to `count`."""
        return min(-(-kept // self.round_to) * self.round_to, count)
