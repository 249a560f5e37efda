"""Checks labels before they are used."""

import numpy as np

from keras_basisprune.utils.check_numeric import check_numeric


def check_class_labels(argument, labels, count, classes) -> np.ndarray:
    """Raises `ValueError` unless there is one class for each image.

    Args:
        argument: Name of the argument, for the message.
        labels: What should be an array of integers, of shape `(count,)`, or
            `(count, 1)`.
        count: Integer, the number of images.
        classes: Integer, the number of classes.

    Returns:
        A NumPy array of shape `(count,)`.
    """
    if labels is None:
        raise ValueError(
            f"Expected `{argument}` to hold one integer label per image. Received: "
            f"{count} images and y=None. Pass a pair (x, y)."
        )
    labels = check_numeric(argument, labels, "integer labels")
    if labels.shape == (count, 1):
        labels = labels[:, 0]  # as in `keras.datasets.cifar10`
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected `{argument}` to hold one integer label per image. Received: "
            f"{count} images and y of shape {labels.shape}, dtype "
            f"{labels.dtype}. {_remedy(labels, count)}"
        )
    check_label_range(argument, labels, classes)
    return labels


def check_label_range(argument, labels, classes):
    """Raises `ValueError` unless integer labels are those of classes.

    Args:
        argument: Name of the argument, for the message.
        labels: Array of integers, of any shape.
        classes: Integer, the number of classes.
    """
    if not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"Expected `{argument}` to hold labels in [0, {classes}), as the model "
            f"has {classes} outputs. Received: labels from {labels.min()} to "
            f"{labels.max()}. Give the model a head for these classes."
        )


def _remedy(labels, count) -> str:
    """Returns a sentence that says how to turn an array into labels."""
    if labels.ndim == 2 and len(labels) == count:
        return "Turn one-hot labels into integers by `argmax(-1)`."
    if labels.size != count:
        return "Pass as many labels as images."
    return "Turn them into integers by `.astype('int64')`, if they are classes."
