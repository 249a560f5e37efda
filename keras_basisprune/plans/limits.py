"""What a selection of bases or channels must respect."""

import dataclasses
from typing import Any

from keras_basisprune.graph.match_layers import check_patterns
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a selection must respect.

    Of bases, layers are those that are decomposed. Of channels, they are those with
    weights: that make channels, or that keep channels which are made elsewhere
    (depthwise convolutions and BatchNormalization, also of a slice).

    Attributes:
        min_kept: Bases or channels that each layer keeps at least.
        round_to: What a layer keeps is rounded up to a multiple of this (at most the
            number there is), since some runtimes are fastest at multiples of 8.
            Normalization is as wide as what it reads.
        max_removed: Float in (0, 1], the share that any layer loses at most.
        exclude: Layers that lose nothing (but what is masked already). A layer name or
            regular expression, a layer class, a predicate `layer -> bool`, or a list of
            these. Of channels, operators without weights can be named too (an `Add`, an
            activation): all of their output channels stay, and with these all that is
            tied to them, in other layers too. What they read may leave, unless it is
            tied to what they make.

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
        expected = "a float in (0, 1], the share that a layer loses at most"
        remedy = "1.0 limits nothing."
        check_number("max_removed", self.max_removed, "(0, 1]", expected, remedy)
        check_patterns("exclude", () if self.exclude is None else self.exclude)

    def least(self, count: int) -> int:
        """How many of so many a layer keeps at least, before they are rounded."""
        stay = count - int(self.max_removed * count)
        return min(max(self.min_kept, stay), count)

    def rounded(self, kept: int, count: int) -> int:
        """How many of so many a layer keeps when `kept` are to stay."""
        return min(-(-kept // self.round_to) * self.round_to, count)
