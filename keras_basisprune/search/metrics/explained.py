"""How much of the deviation of numbers is explained."""

import numpy as np

from keras_basisprune.search.metrics.measure import Measure, in_blocks, per_sample


class Explained(Measure):
    """The share of the mean absolute deviation that predictions explain.

    That is 1 minus the mean absolute error, divided by that of one constant answer: 1
    is perfect, 0 no better than the constant.

    Args:
        name: The name.
        text: What it is, in words.
        place: Integer, the number of the output.
        constant: Array of the shape of an output: the constant answer.
    """

    sign, share, exact = 1, True, False

    def __init__(self, name, text, place, constant):
        self.name, self.text, self._place = name, text, place
        self._constant = constant

    def rows(self, targets, outputs, weights, block):
        truth = np.asarray(targets[self._place], np.float64)
        count = len(truth)
        errors = np.abs(truth - outputs[self._place]).reshape(count, -1).mean(-1)
        spread = np.abs(truth - self._constant).reshape(count, -1).mean(-1)
        each = per_sample(weights and weights[self._place], count)
        return in_blocks(np.stack([errors * each, spread * each], -1), block)

    def value(self, sums):
        spread = sums[..., 1]
        return 1 - sums[..., 0] / np.where(spread == 0, 1.0, spread)
