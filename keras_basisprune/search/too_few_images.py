"""Checks whether validation images are too few for a budget."""

from keras_basisprune.report.loss_bound import CONFIDENCE, images_for, loss_bound

_SMALLEST_BUDGET = 0.01  # in place of 0, which no number of images can resolve


def too_few_images(images, max_drop) -> str:
    """Returns a warning if too few images can't resolve a loss of `max_drop`.

    Args:
        images: Integer, the number of validation images.
        max_drop: Float in [0, 1), the budget.

    Returns:
        A string, empty if there are enough.

    Example:

    >>> too_few_images(4, 0.05)
    'Expected `validation` to hold enough images to tell whether a network is ...'
    """
    budget = max_drop or _SMALLEST_BUDGET
    bound, needed = loss_bound(0, 0, images), images_for(budget)
    if images >= needed:
        return ""
    received = f"{images:,} images" if images > 1 else "one image"
    within = f"within max_drop={max_drop:g}" if max_drop else "as good"
    return (
        "Expected `validation` to hold enough images to tell whether a network is "
        f"{within}. Received: {received}. Even one that loses no answer there may lose "
        f"up to {100 * bound:.1f} points on others (with {100 * CONFIDENCE:.0f} % "
        "confidence): what is found may be worse than it looks. Pass "
        f"{needed:,} images or more, which training has not seen."
    )
