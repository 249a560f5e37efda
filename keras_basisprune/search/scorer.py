"""How good a network is, on data with labels or without."""

import numpy as np

from keras_basisprune.graph.running import predict


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
            labels = _classes(model, images)
        self._images, self._labels = images, labels
        self._before = np.ones(len(images), bool)
        if self.metric == "accuracy":
            self._before = self._right(model)
            self.baseline = float(np.mean(self._before))

    def __call__(self, model) -> float:
        """The score of a network, in [0, 1]."""
        return self.compared(model)[0]

    def compared(self, model) -> tuple[float, float]:
        """The score of a network, and how sure its distance from the original's is.

        Args:
            model: A classifier of the same classes.

        Returns:
            A pair of floats: the score, and the standard error of its difference from
            `baseline`, both networks being judged on the same images. Other images of
            the same kind would give a difference that is off by less than that in two
            of three cases.
        """
        right = self._right(model)
        changes = right.astype(float) - self._before
        error = np.std(changes) / np.sqrt(max(len(changes), 1))
        return float(np.mean(right)), float(error)

    def _right(self, model) -> np.ndarray:
        return _classes(model, self._images) == self._labels


def _classes(model, images) -> np.ndarray:
    return np.argmax(predict(model, images, 64), axis=-1)
