"""One network that a search has tried."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Trial:
    """A network that was tried, and how good it was.

    Attributes:
        round: Integer from 1, the round of the search.
        kept: Float, the cost that the search makes small, as a share of the original's.
        params: Float, the share of the parameters that is kept, after `fold`.
        flops: Float, the share of the FLOPs that is kept, after `fold`.
        score: Float, accuracy (or agreement) on the validation data, of the folded
            network; NaN if there is no such network.
        error: Float, the standard error of the score's difference from the original's:
            by how much the loss on other images may exceed it, with 84 % confidence.
            It is above 0 even if no answer is lost: some may be on other images.
        trained: Whether it was trained after it was cut.
        good_enough: Whether the score is within the budget, and by the margin if there
            is one.
        to_channels: Float in [0, 1], how much of the cut is made by channels: they are
            pruned to `share ** to_channels`; NaN for methods that don't split a cut.
        seconds: Dict of the seconds for `"fitting"`, `"training"` and `"evaluation"`,
            and for `"measuring"` sensitivity before the first cut of a network.
        bound: Float, the largest loss on other images, with 95 % confidence.
        method: The name of the `Method` by which it was cut.
        predicted: The loss of the outputs that was predicted for the channels that were
            removed (`Sensitivity.predicted`); NaN if nothing was measured, and for
            networks that were trained.
    """

    round: int
    kept: float
    params: float
    flops: float
    score: float
    error: float
    trained: bool
    good_enough: bool
    to_channels: float
    seconds: dict[str, float]
    bound: float = math.nan
    method: str = ""
    predicted: float = math.nan
