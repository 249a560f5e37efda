"""The result of one round of a search."""

import dataclasses

import keras

from keras_basisprune.plan import Plan
from keras_basisprune.search.folded import Folded


@dataclasses.dataclass(frozen=True)
class RoundResult:
    """The result of one round.

    Attributes:
        network: The network that the next round cuts: trained if there is training,
            but not quantization-aware, and folded except for BatchNormalization.
        folded: The `Folded` network that was judged.
        plan: The `Plan` by which it was cut.
        trial: Its number in `Rounds.trials`.
    """

    network: keras.Model
    folded: Folded
    plan: Plan
    trial: int
