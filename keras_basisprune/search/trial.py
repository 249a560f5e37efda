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
        score: Float, the metric on the validation data, of the folded network, in its
            own sign (an error is small if it is good); NaN if there is no such network.
        error: Float, the standard error of the score's difference from the original's:
            by how much the loss on other images may exceed it, with 84 % confidence.
            Where answers are right or wrong it is above 0 even if none is lost: some
            may be on other images. NaN if it is not known.
        trained: Whether it was trained after it was cut.
        good_enough: Whether the score is within the budget, and by the margin if there
            is one.
        to_channels: Float in [0, 1], how much of the cut is made by channels: they are
            pruned to `share ** to_channels`; NaN for methods that don't split a cut.
        seconds: Dict of the seconds for `"fitting"`, `"training"` and `"evaluation"`.
        bound: Float, the largest loss on other images, with 95 % confidence: how much
            worse the score may be than the original's. NaN if it is not known.
        method: The name of the `Method` by which it was cut.
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
