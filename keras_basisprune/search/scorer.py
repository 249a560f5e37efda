"""How good a network is, on data with labels or without."""

import numpy as np

from keras_basisprune.measure import accuracy


class Scorer:
    """Accuracy on labelled data, or agreement with the original on unlabelled data.

    Args:
        model: The original classifier.
        data: A pair `(x, y)` of arrays; `y` integer labels or `None`.

    Attributes:
        metric: `"accuracy"` or `"agreement"`: the share of images for which the most
            probable class is the label, or that of the original.
        baseline: Float, the original's score.
    """

    def __init__(self, model, data):
        images, labels = data
        self.metric, self.baseline = "accuracy", 1.0
        if labels is None:
            self.metric = "agreement"
            labels = np.argmax(model.predict(images, 64, verbose=0), axis=-1)
        self._data = images, labels
        if self.metric == "accuracy":
            self.baseline = self(model)

    def __call__(self, model) -> float:
        """The score of a network, in [0, 1]."""
        return accuracy(model, self._data)
