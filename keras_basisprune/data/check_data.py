"""Checks images and labels before they are used."""

from keras_basisprune.data.check_class_labels import check_class_labels
from keras_basisprune.data.check_images import check_images


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
    images = check_images(argument, images, model.input_shape[1:])
    classes = model.output_shape[-1]
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
