"""Mean intersection over union, of maps of classes."""

import numpy as np

from keras_basisprune.search.metrics.measure import Measure, in_blocks


class MeanIoU(Measure):
    """Mean over the classes of intersection over union, over all positions.

    Classes that neither labels nor answers hold are left out. Weights are those of
    samples or of positions: those of weight 0 don't count.

    Args:
        text: What it is, in words.
        place: Integer, the number of the output.
        classes: Integer.
        function: Takes outputs and returns integers, of the shape of the targets.
    """

    name, sign, share, exact = "mean_iou", 1, True, False

    def __init__(self, text, place, classes, function):
        self.text, self._place, self._classes = text, place, classes
        self._function = function

    def rows(self, targets, outputs, weights, block):
        truth = np.asarray(targets[self._place]).astype(np.int64)
        found = self._function(outputs[self._place]).reshape(truth.shape)
        count, classes = len(truth), self._classes
        truth, found = truth.reshape(count, -1), found.reshape(count, -1)
        first = np.arange(count)[:, None] * classes
        own = weights and weights[self._place]
        each = np.ones(truth.shape)
        if own is not None:
            each *= np.reshape(own, (count, -1))

        def counted(labels, chosen=1):
            places = (labels + first).reshape(-1)
            share = (each * chosen).reshape(-1)
            return np.bincount(places, share, minlength=count * classes)

        shared = counted(truth, truth == found)
        parts = [shared, counted(truth), counted(found)]
        rows = np.concatenate([x.reshape(count, classes) for x in parts], -1)
        return in_blocks(rows.astype(np.float64), block)

    def value(self, sums):
        shared, truth, found = np.split(sums, 3, axis=-1)
        union = truth + found - shared
        there = union > 0
        shares = np.where(there, shared / np.where(there, union, 1), 0)
        return shares.sum(-1) / np.maximum(there.sum(-1), 1)
