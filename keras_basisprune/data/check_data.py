"""Checks images and labels before they are used."""

import numpy as np

from keras_basisprune.data.check_class_labels import check_class_labels
from keras_basisprune.utils.check_numeric import check_numeric

_AT_ONCE = 256  # images that are checked together, to keep memory small


def check_data(argument, model, data, labels="needed"):
    """Raises `ValueError` unless images and labels fit a classifier.

    Args:
        argument: Name of the argument, for the message.
        model: A classifier with one input and one output of shape `(batch, classes)`.
        data: What should be a pair `(x, y)` of arrays, `y` integer labels, of shape
            `(n,)` or `(n, 1)`.
        labels: `"needed"` or `"optional"`. If optional, `data` may also be an array of
            images alone, or `(x, None)`.

    Returns:
        The pair `(x, y)` of NumPy arrays; `y` of shape `(n,)`, `None` without labels.

    Raises:
        ValueError: If the data do not fit the model, or an image holds NaN or infinity.
    """
    images, given = _pair(argument, data, labels)
    images = check_numeric(argument, _array(argument, images), "images of numbers")
    classes = model.output_shape[-1]
    _check_images(argument, images, model.input_shape[1:])
    if given is None and labels == "optional":
        return images, None
    return images, check_class_labels(argument, given, len(images), classes)


def _pair(argument, data, labels):
    if isinstance(data, tuple | list) and len(data) == 2:
        return data
    alone = labels == "optional" and hasattr(data, "shape")
    if not alone:
        wanted, remedy = "a pair (x, y) of arrays", "images and integer labels"
        if labels == "optional":
            wanted, remedy = f"{wanted}, or images alone", f"{remedy}, or an array"
        raise ValueError(
            f"Expected `{argument}` to be {wanted}. "
            f"Received: {type(data).__name__}. Pass {remedy}."
        )
    return data, None


def _array(argument, images):
    try:
        return np.asarray(images)
    except ValueError as error:  # shapes that are not equal
        shapes = sorted({np.shape(image) for image in images})
        raise ValueError(
            f"Expected `{argument}` to hold images of one shape. Received: x with "
            f"images of the shapes {str(shapes)[1:-1][:200]}. Resize them, or take "
            "those of one shape."
        ) from error


def _check_images(argument, images, shape):
    sizes = images.shape[1:]
    fits = len(images.shape) == len(shape) + 1 and all(
        want in (None, have) for want, have in zip(shape, sizes, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `{argument}` to hold images of shape {shape}. Received: "
            f"x of shape {images.shape}. Resize them, or the model's input."
        )
    if not len(images):
        raise ValueError(
            f"Expected `{argument}` to hold at least one image. Received: x of shape "
            f"{images.shape}. Pass images."
        )
    if images.dtype.kind != "f":
        return
    axes = tuple(range(1, images.ndim))
    for start in range(0, len(images), _AT_ONCE):
        finite = np.isfinite(images[start : start + _AT_ONCE]).all(axes)
        if not finite.all():
            raise ValueError(
                f"Expected `{argument}` to hold finite images. Received: NaN or "
                f"infinity in image {start + int(np.argmin(finite))}. Leave it out, or "
                "repair it by `numpy.nan_to_num`."
            )
