"""Checks the labels of image data."""

import numpy as np


def check_labels(splits, class_names, source):
    """Checks the labels of all splits and names the classes.

    Args:
        splits: dict of split name to `(items, labels)`, see `readers`.
        class_names: tuple of str, or `None` to name classes by their numbers.
        source: str, the source as the user passed it, for the messages.

    Returns:
        A tuple `(labels, class_names)`: dict of split name to int64 array of shape
        `(n,)`, and a tuple of str.

    Raises:
        ValueError: a shape, a count, a type or a class does not fit.
    """
    labels = {
        split: _flat(split, items, np.asarray(given), source)
        for split, (items, given) in splits.items()
    }
    present = np.unique(labels["train"])
    count = int(present[-1]) + 1 if class_names is None else len(class_names)
    for split, values in labels.items():
        if values.min() < 0 or values.max() >= count:
            received = f"labels from {values.min()} to {values.max()}"
            remedy = "Number the classes from 0, in the same way in every split."
            raise _error(source, split, f"to lie in [0, {count - 1}]", received, remedy)
    if count < 2:
        received, remedy = "one class", "Add the images of a second class."
        raise _error(source, "train", "to have two or more classes", received, remedy)
    if len(present) < count:
        gaps = np.flatnonzero(present != np.arange(len(present)))
        gap = int(gaps[0]) if len(gaps) else len(present)
        name = class_names[gap] if class_names else gap
        received = f"no image of class '{name}' (label {gap})"
        remedy = "Add images or leave the class out: labels run from 0 without gaps."
        raise _error(source, "train", "to cover every class", received, remedy)
    return labels, class_names or tuple(str(label) for label in range(count))


def _flat(split, items, given, source):
    flat = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if flat.ndim != 1:
        received = f"labels of shape {given.shape}"
        remedy = "One-hot labels become numbers by labels.argmax(axis=-1)."
        raise _error(source, split, "to have shape (n,)", received, remedy)
    if flat.dtype.kind not in "iu":
        received = f"labels of dtype {given.dtype}"
        remedy = "Number them: np.unique(labels, return_inverse=True)[1]."
        raise _error(source, split, "to be integers", received, remedy)
    if len(flat) != len(items) or not len(flat):
        received = f"{len(items)} images and {len(flat)} labels"
        remedy = "Give one label per image, and at least one image."
        raise _error(source, split, "to be as many as its images", received, remedy)
    return flat.astype(np.int64)


def _error(source, split, expected, received, remedy):
    return ValueError(
        f"Expected the labels of the {split} split of `spec` {expected}. "
        f"Received: spec='{source}' with {received}. {remedy}"
    )
