"""What a round of a search has come to."""

import dataclasses

import keras

from keras_basisprune.plan import Plan


@dataclasses.dataclass(frozen=True)
class Found:
    """What a round has come to.

    Attributes:
        network: The network, trained if there is training; not folded.
        plan: The `Plan` by which it was cut.
        trial: Its number in `Rounds.trials`.
    """

    network: keras.Model
    plan: Plan
    trial: int
