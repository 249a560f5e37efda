"""Random numbers of samples, from which positions and folds follow."""

import dataclasses

import numpy as np

from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.sample_folds import FOLDS


class DrawnNumbers:
    """One random number per sample, by which samples are divided into folds.

    Args:
        arrays: A batch, a list of arrays, one per input of the model.
    """

    def __init__(self, arrays):
        self._parts = [_drawn(arrays)]

    def __add__(self, other):
        found = DrawnNumbers.__new__(DrawnNumbers)
        found._parts = self._parts + other._parts
        return found

    def __getstate__(self):
        return {"_parts": [self._all()]}

    def sampling(self) -> "Sampling":
        """Returns the folds of samples, and how many positions of maps are drawn."""
        numbers = np.sort(self._all())
        ranks = -(-np.arange(1, FOLDS) * len(numbers) // FOLDS)
        limits = np.append(numbers, np.inf)[ranks]
        return Sampling(MapPositions.most(len(numbers)), limits, len(numbers))

    def _all(self) -> np.ndarray:
        return np.concatenate(self._parts)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """What of the samples layers are fitted on.

    Attributes:
        count: Integer, the most positions per map.
        limits: Array of the drawn numbers where folds begin, all but the first, as
            `sample_folds` divides them.
        samples: Integer, the number of all samples.
    """

    count: int
    limits: np.ndarray
    samples: int

    def of(self, arrays) -> tuple[list[MapPositions], list[np.ndarray]]:
        """Returns positions and folds of one batch, each as a list of one element."""
        folds = np.searchsorted(self.limits, _drawn(arrays), side="right")
        return [MapPositions(arrays, self.count)], [folds]


def _drawn(arrays):
    return position_jitter(arrays, 1)[:, 0]
