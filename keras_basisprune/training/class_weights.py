"""Weights of samples by their class."""

import numpy as np


def class_weights(by_class):
    """Returns a function of a `Batch` that returns the weights of its samples.

    Args:
        by_class: Dict from integer labels to weights, of classes that are missing 1; or
            `None`.

    Returns:
        A function that returns a list of arrays, one per output: the weights that the
        batch has, times those of the classes of the first output; `None` for neither.
    """

    def weigh(batch):
        if not by_class or batch.targets is None:
            return batch.weights
        labels = np.asarray(batch.targets[0])
        if labels.ndim > 1:
            whole = labels.shape[-1] > 1
            labels = labels.argmax(-1) if whole else labels[..., 0]
        found = np.ones(labels.shape, "float32")
        for number, weight in by_class.items():
            found[labels == number] = weight
        if batch.weights is None:
            return [found] * len(batch.targets)
        return [
            found * np.asarray(own).reshape(own.shape + (1,) * (found.ndim - own.ndim))
            for own in batch.weights
        ]

    return weigh
