"""A network of a search, folded, and its answers on the validation data."""

import functools

import keras
import numpy as np

from keras_basisprune.surgery import fold


class Folded:
    """Folds and runs a network once, when the result is first needed.

    Args:
        network: The `keras.Model`, converted or not.
        score: A `Scorer`.

    Attributes:
        network: The network as it was given.
    """

    def __init__(self, network, score):
        self.network, self._score = network, score

    @functools.cached_property
    def small(self) -> keras.Model:
        """The network, folded."""
        return fold(self.network)

    @functools.cached_property
    def answers(self) -> np.ndarray:
        """What the folded network answers, see `Scorer.answers`."""
        return self._score.answers(self.small)

    def compared(self) -> dict[str, float]:
        """Returns its score with confidence bounds, see `Scorer.compared`."""
        return self._score.compared(self.answers)

    def recall(self) -> list[dict]:
        """Returns its recall of each class, see `Scorer.recall`."""
        return self._score.recall(self.answers)
