"""Checks images before they are used."""

import numpy as np

from keras_basisprune.utils.check_numeric import check_numeric

_AT_ONCE = 256  # images that are checked together, to keep memory small


def check_images(argument, images, shape) -> np.ndarray:
    """Raises `ValueError` unless images fit an input of a model.

    Args:
        argument: Name of the argument, for the message.
        images: What should be an array of images, or a list of them.
        shape: Shape of an image; `None` for sizes that may be any.

    Returns:
        A NumPy array.

    Raises:
        ValueError: If they have another shape, or an image holds NaN or infinity.
    """
    images = check_numeric(argument, _array(argument, images), "images of numbers")
    _check_shape(argument, images, shape)
    if images.dtype.kind != "f":
        return images
    axes = tuple(range(1, images.ndim))
    for start in range(0, len(images), _AT_ONCE):
        finite = np.isfinite(images[start : start + _AT_ONCE]).all(axes)
        if not finite.all():
            raise ValueError(
                f"Expected `{argument}` to hold finite images. Received: NaN or "
                f"infinity in image {start + int(np.argmin(finite))}. Leave it out, or "
                "repair it by `numpy.nan_to_num`."
            )
    return images


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


def _check_shape(argument, images, shape):
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
