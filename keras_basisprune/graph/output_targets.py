"""Labels in the form in which outputs are judged by them."""

import numpy as np

from keras_basisprune.data.check_class_labels import (
    check_class_labels,
    check_label_range,
)
from keras_basisprune.utils.check_numeric import check_numeric


def output_targets(argument, output, labels, count, sizes=None, alone=True):
    """Checks labels, and brings them into one form.

    Args:
        argument: Name of the argument, for the message.
        output: The `Output` that they are for.
        labels: Array of `count` labels. For classes: integers of the shape of the
            output without its last axis (a last axis of 1 is dropped), or shares of the
            shape of the output, such as one-hot labels. Else: numbers of the shape of
            the output, of which a last axis of 1 may be missing.
        count: Integer, the number of samples.
        sizes: Shape of the outputs for these samples, without the batch axis; `None`
            for `output.shape`.
        alone: Whether it is the only output, which needs no name in messages.

    Returns:
        For classes an integer array without the axis of the classes; else a float32
        array of the shape of the output.

    Raises:
        ValueError: If they do not fit the output.
    """
    shape = output.shape if sizes is None else tuple(sizes)
    where = argument if alone else f"{argument}` for `{output.name}"
    if output.kind == "classes":
        return _classes(where, labels, count, shape)
    labels = check_numeric(argument, labels, "labels of numbers")
    if labels.shape == (count, *shape[:-1]) and shape[-1:] == (1,):
        labels = labels[..., None]
    if not _fits(labels.shape, (count, *shape)):
        raise ValueError(
            f"Expected `{where}` to hold labels of shape {(count, *shape)}, as the "
            f"model's outputs. Received: y of shape {labels.shape}. Pass as many "
            "numbers as the model has outputs."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(
            f"Expected `{where}` to hold finite labels. Received: NaN or infinity. "
            "Leave these samples out."
        )
    if output.kind == "binary" and not (0 <= labels.min() <= labels.max() <= 1):
        raise ValueError(
            f"Expected `{where}` to hold labels of 0 and 1, as the model says yes or "
            f"no. Received: labels from {labels.min():g} to {labels.max():g}. Divide "
            "masks of 255, or give the model a head for these classes."
        )
    return labels.astype("float32")


def _classes(where, labels, count, shape):
    classes, places = shape[-1], shape[:-1]
    labels = check_numeric(where, labels, "labels") if labels is not None else None
    whole = labels is not None and _fits(labels.shape, (count, *shape))
    if whole and labels.shape != (count, *places, 1):
        total = labels.astype("float64").sum(-1)
        if labels.min() < 0 or not np.allclose(total, 1.0, atol=1e-3):
            raise ValueError(
                f"Expected `{where}` to hold one class per answer. Received: y of "
                f"shape {labels.shape} that sums to {total.flat[0]:g} over the "
                f"{classes} classes. Pass integers, or shares that sum to 1, such as "
                "one-hot labels."
            )
        return labels.argmax(-1)
    if not places:
        return check_class_labels(where, labels, count, classes)
    if labels.shape[-1:] == (1,) and labels.ndim == len(shape) + 1:
        labels = labels[..., 0]
    if not _fits(labels.shape, (count, *places)) or labels.dtype.kind not in "iub":
        raise ValueError(
            f"Expected `{where}` to hold one integer label per place, of shape "
            f"{(count, *places)}. Received: y of shape {labels.shape}, dtype "
            f"{labels.dtype}. Turn them into such integers, or one-hot labels."
        )
    check_label_range(where, labels, classes)
    return labels.astype("int64")


def _fits(shape, wanted) -> bool:
    return len(shape) == len(wanted) and all(
        want in (None, have) for want, have in zip(wanted, shape, strict=True)
    )
