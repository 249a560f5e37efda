"""The mean of scores, one per output."""

import numpy as np

from keras_basisprune.search.metrics.measure import Measure


class MeanOfOutputs(Measure):
    """The mean of scores that count in the same direction, one per output.

    Args:
        name: The name.
        measures: A list of `Measure`s.
    """

    exact = False

    def __init__(self, name, measures):
        self.name, self._measures = name, measures
        self.text = f"mean of {', '.join(one.text for one in measures)}"
        self.sign = measures[0].sign
        self.share = all(one.share for one in measures)
        self._ends: list[int] = []

    def rows(self, targets, outputs, weights, block):
        parts = [one.rows(targets, outputs, weights, block) for one in self._measures]
        self._ends = list(np.cumsum([part.shape[-1] for part in parts])[:-1])
        return np.concatenate(parts, -1)

    def value(self, sums):
        parts = np.split(sums, self._ends, axis=-1)
        pairs = zip(self._measures, parts, strict=True)
        return np.mean([one.value(part) for one, part in pairs], axis=0)
