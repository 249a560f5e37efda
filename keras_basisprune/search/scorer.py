"""Scores networks, on data with labels or without."""

import statistics

import numpy as np

from keras_basisprune.graph.running import predict
from keras_basisprune.report.loss_bound import loss_bound
from keras_basisprune.search.predicted_classes import predicted_classes

# Confidence of one standard error, on one side.
_ONE_STANDARD_ERROR = statistics.NormalDist().cdf(1.0)


class Scorer:
    """Accuracy on labelled data, or agreement with the original on unlabelled data.

    Args:
        model: The original classifier.
        data: A pair `(x, y)` of arrays; `y` integer labels or `None`.

    Attributes:
        metric: `"accuracy"` or `"agreement"`: the share of images for which the most
            probable class is the label, or that of the original.
        baseline: Float, the original's score.
        images: Integer, how many images there are.
        inputs: What networks are run on.
    """

    def __init__(self, model, data):
        images, labels = data
        self.metric, self.baseline = "accuracy", 1.0
        if labels is None:
            self.metric = "agreement"
            labels = predicted_classes(model, images)
        self._images, self._labels, self.images = images, labels, len(images)
        self.inputs = images
        self._before = np.ones(len(images), bool)
        if self.metric == "accuracy":
            self._before = self.right(model)
            self.baseline = float(np.mean(self._before))

    def __call__(self, model) -> float:
        """Returns the score of a network, in [0, 1]."""
        return self.compared(self.right(model))["score"]

    def right(self, model) -> np.ndarray:
        """Runs a network on the images.

        Args:
            model: A classifier of the same classes.

        Returns:
            Boolean array of shape `(images,)`: whether it answers with the label.
        """
        return self.right_outputs([predict(model, self._images, 64)])

    def right_outputs(self, outputs) -> np.ndarray:
        """Returns the same for the outputs of a network, or of a file made of it.

        Args:
            outputs: A list of arrays, the outputs for `inputs`: one of shape `(images,
                classes)`.
        """
        return np.argmax(outputs[0], axis=-1) == self._labels

    def compared(self, right) -> dict[str, float]:
        """Returns the score of a network, with a confidence bound on its loss.

        Args:
            right: What `right` returned for the network.

        Returns:
            A dict of `"score"`; `"bound"`: with 95 % confidence, no more than that is
            lost against `baseline` on other images of the same kind, both networks
            being judged on the same images; and `"error"`, the standard error of the
            loss: by how much the bound with 84 % confidence exceeds it. Both also hold
            for few images, and where no answer is lost.
        """
        lost = int(np.sum(self._before & ~right))
        gained = int(np.sum(right & ~self._before))
        counts = lost, gained, self.images
        error = loss_bound(*counts, _ONE_STANDARD_ERROR) - (lost - gained) / self.images
        score = float(np.mean(right))
        return {"score": score, "error": float(error), "bound": loss_bound(*counts)}

    def recall(self, right) -> list[dict]:
        """Returns the recall of each class, for a network and for the original.

        Without labels, the classes are those that the original predicts.

        Args:
            right: What `right` returned for the network.

        Returns:
            A list of dicts, one for each class with images: `"class"`, `"images"`
            (their number), `"before"` and `"after"` (recall of the original and of the
            network), `"lost"` and `"gained"` (numbers of answers).
        """
        rows = []
        for number in np.unique(self._labels):
            own = self._labels == number
            before, after = self._before[own], right[own]
            rows.append(
                {
                    "class": int(number),
                    "images": len(before),
                    "before": float(np.mean(before)),
                    "after": float(np.mean(after)),
                    "lost": int(np.sum(before & ~after)),
                    "gained": int(np.sum(after & ~before)),
                }
            )
        return rows
