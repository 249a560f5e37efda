"""How a structural search goes about it."""

import dataclasses

from keras_basisprune.methods._check_drops import check_drops
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


@dataclasses.dataclass(frozen=True)
class StructuralSearch:
    """How `compensation_aware` searches; the defaults are good.

    Attributes:
        max_drop: Float in [0, 1], the budget where no share is asked for: how much of
            the accuracy (or agreement with the original) may be lost, on the data.
        drops: Increasing floats in (0, 1]: the budgets that are searched for a share,
            one after the other, until its cost is met. What leaves between two of them
            is taken alike from all layers.
        steps: Integer, the step constraint: a layer is divided into so many steps at
            most, each a multiple of `limits.round_to` channels.
        ridge: Float > 0, strength of the ridge, as in `compensate`, while it searches;
            the network that is found is corrected with a strength for each layer.
        held_out: Float in [0, 1), the share of the data, drawn at random, on which
            networks are judged and not fitted. 0: they are judged on what they are
            fitted on. `None`: half, if that is 100 samples or more, else 0.
    """

    max_drop: float = 0.01
    drops: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.9)
    steps: int = 16
    ridge: float = 0.01
    held_out: float | None = None

    def __post_init__(self):
        remedy = "Pass, for example, `max_drop=0.01`: one point."
        check_number("max_drop", self.max_drop, "[0, 1]", remedy=remedy)
        check_drops("drops", self.drops)
        check_whole("steps", self.steps, remedy="16 take five trials a layer.")
        remedy = "Pass, for example, `ridge=0.01`."
        check_number("ridge", self.ridge, "(0, inf)", "a positive float", remedy)
        remedy = "0 judges networks on the images that they are fitted on."
        if self.held_out is not None:
            check_number("held_out", self.held_out, "[0, 1)", remedy=remedy)
