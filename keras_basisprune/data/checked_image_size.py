"""The argument `image_size`."""

import operator


def checked_image_size(image_size) -> tuple[int, int] | None:
    """Raises `ValueError` unless a value is a size of images, or `None`.

    Args:
        image_size: What should be a positive integer or a pair of them.

    Returns:
        `(height, width)`, or `None`.
    """
    if image_size is None:
        return None
    pair = image_size if isinstance(image_size, tuple | list) else (image_size,) * 2
    try:
        size = tuple(operator.index(side) for side in pair)
    except TypeError:
        size = ()
    if any(isinstance(side, bool) for side in pair):
        size = ()
    if len(size) != 2 or min(size) < 1 or max(size) >= 2**15:
        raise ValueError(
            "Expected `image_size` to be None, a positive int or a pair (height, "
            f"width) of them. Received: image_size={image_size!r}. Pass for example "
            "image_size=(224, 224)."
        )
    return size
