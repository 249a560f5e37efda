"""A network of a search, folded, and its answers on the validation data."""

import contextlib
import functools

import keras
import numpy as np

from keras_basisprune.search.shipped import ShippedFile
from keras_basisprune.surgery import fold


class Folded:
    """Folds and runs a network once, when the result is first needed.

    Args:
        network: The `keras.Model`, converted or not.
        score: A `Scorer`.
        shipped: A `Shipped`; `None` to judge networks by Keras alone.
        quantized: The same network, quantization-aware, which is then judged, and of
            which the file is written; `None` for the network itself.

    Attributes:
        network: The network as it was given.
        quantized: As given.
    """

    def __init__(self, network, score, shipped=None, quantized=None):
        self.network, self._score, self._shipped = network, score, shipped
        self.quantized = quantized

    @functools.cached_property
    def small(self) -> keras.Model:
        """The network, folded."""
        return fold(self.network)

    @property
    def to_ship(self) -> keras.Model:
        """The network of which the file is written."""
        return self.small if self.quantized is None else self.quantized

    @functools.cached_property
    def answers(self) -> np.ndarray:
        """What that network answers, see `Scorer.answers`."""
        return self._score.answers(self.to_ship)

    @functools.cached_property
    def file(self) -> ShippedFile | None:
        """The file that will ship; `None` if no form was chosen.

        Raises:
            ValueError: If LiteRT can't run the network in this form.
        """
        return None if self._shipped is None else self._shipped(self.to_ship)

    @property
    def as_it_ships(self):
        """What users will run: the file, or without one the network."""
        with contextlib.suppress(RuntimeError, ValueError):
            return self.file or self.to_ship
        return self.to_ship

    @functools.cached_property
    def answers_in_file(self) -> np.ndarray:
        """What it answers in the form that will ship, see `Scorer.answers`."""
        if self.file is None:
            return self.answers
        with self.file.shown(self._score.images):
            return self._score.answers(self.file)

    def compared(self) -> dict[str, float]:
        """Returns its score with confidence bounds, see `Scorer.compared`."""
        return self._score.compared(self.answers)

    def compared_in_file(self) -> dict[str, float]:
        """Returns the same of the file that will ship; of Keras without one."""
        return self._score.compared(self.answers_in_file)

    def recall(self) -> list[dict]:
        """Returns its recall of each class as it ships, see `Scorer.recall`."""
        return self._score.recall(self.answers_in_file)
