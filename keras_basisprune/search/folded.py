"""A network of a search, folded, and its answers on the validation data."""

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

    Attributes:
        network: The network as it was given.
    """

    def __init__(self, network, score, shipped=None):
        self.network, self._score, self._shipped = network, score, shipped

    @functools.cached_property
    def small(self) -> keras.Model:
        """The network, folded."""
        return fold(self.network)

    @functools.cached_property
    def right(self) -> np.ndarray:
        """Boolean array: which answers of the folded network are right."""
        return self._score.right(self.small)

    @functools.cached_property
    def file(self) -> ShippedFile | None:
        """The file that will ship, run on the data; `None` if no form was chosen.

        Raises:
            ValueError: If LiteRT can't run the folded network in this form.
        """
        if self._shipped is None:
            return None
        return self._shipped(self.small, self._score.inputs)

    def outputs_for(self, data) -> list[np.ndarray] | None:
        """Returns the outputs of the file for other data; `None` without a file."""
        return None if self.file is None else self._shipped.run(self.file.content, data)

    @functools.cached_property
    def right_in_file(self) -> np.ndarray:
        """Boolean array: which answers are right in the form that will ship."""
        if self._shipped is None:
            return self.right
        return self._score.right_outputs(self.file.outputs)

    def compared(self) -> dict[str, float]:
        """Returns its score with confidence bounds, see `Scorer.compared`."""
        return self._score.compared(self.right)

    def compared_in_file(self) -> dict[str, float]:
        """Returns the same of the file that will ship; of Keras without one."""
        return self._score.compared(self.right_in_file)

    def recall(self) -> list[dict]:
        """Returns its recall of each class as it ships, see `Scorer.recall`."""
        return self._score.recall(self.right_in_file)
