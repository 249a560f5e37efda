"""The mean of a number for each sample."""

from collections.abc import Callable

import numpy as np

from keras_basisprune.search.metrics.measure import Measure, in_blocks, per_sample


class MeanValue(Measure):
    """The mean of a number for each sample, such as the share of right answers.

    Args:
        name: The name.
        text: What it is, in words.
        place: Integer, the number of the output.
        function: Takes targets and outputs, and returns an array of shape `(samples,
            ...)`, which is averaged for each sample.
        sign: 1 if more is better, -1 if less is.
        share: Whether it is a share.
        exact: Whether each sample is right or wrong.
    """

    def __init__(
        self,
        name: str,
        text: str,
        place: int,
        function: Callable,
        *,
        sign: int = 1,
        share: bool = True,
        exact: bool = False,
    ):
        self.name, self.text, self.sign, self.share = name, text, sign, share
        self.exact, self._place, self._function = exact, place, function

    def rows(self, targets, outputs, weights, block):
        found = self._function(targets[self._place], outputs[self._place])
        count, own = len(found), weights and weights[self._place]
        found = np.asarray(found, np.float64)
        if own is not None and own.ndim > 1 and own.shape == found.shape:
            pair = [np.reshape(x, (count, -1)).sum(-1) for x in (found * own, own)]
            return in_blocks(np.stack(pair, -1), block)  # weights of positions
        each = per_sample(own, count)
        values = found.reshape(count, -1).mean(-1)
        return in_blocks(np.stack([values * each, each], -1), block)

    def value(self, sums):
        return sums[..., 0] / np.where(sums[..., 1] == 0, np.nan, sums[..., 1])
