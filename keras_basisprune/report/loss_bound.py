"""Confidence bounds of a loss that is measured on some images."""

import math

CONFIDENCE = 0.95


def loss_bound(lost, gained, images, confidence=CONFIDENCE) -> float:
    """Returns an upper confidence bound of the share of answers lost, minus gained.

    Two networks are judged on the same images. The shares of answers that only the
    first and only the second has right have exact bounds by Clopper and Pearson, which
    hold for few images, too, and if none is lost (then this is
    `1 - (1 - confidence)**(1 / images)`, about `3 / images` by the rule of three). They
    are combined by squares, as Newcombe does for differences. For many images, the
    distance from the observed loss approaches the usual standard error times the normal
    quantile.

    Sources: Clopper and Pearson 1934; Newcombe 1998, *Improved confidence intervals for
    the difference between binomial proportions based on paired data*; Zou and Donner
    2008, section 2 (MOVER).

    Args:
        lost: Integer, images that only the first network has right.
        gained: Integer, images that only the second network has right.
        images: Integer, the number of all images, at least 1.
        confidence: Float in (0.5, 1), of this one-sided bound.

    Returns:
        A float in [-1, 1], at least `(lost - gained) / images`. The second network
        gains at least `-loss_bound(gained, lost, images)`.
    """
    from scipy import special

    if lost == images:
        return 1.0
    high = float(special.betaincinv(lost + 1, images - lost, confidence))
    low = 0.0
    if gained:
        low = float(special.betaincinv(gained, images - gained + 1, 1 - confidence))
    away, back = lost / images, gained / images
    up, down = high - away, back - low
    shared = 0.0
    if gained < images:  # the two shares are correlated: they sum to 1 at most
        shared = math.sqrt(away * back / ((1 - away) * (1 - back)))
    return min(1.0, away - back + math.sqrt(up**2 + down**2 + 2 * shared * up * down))


def images_for(loss, confidence=CONFIDENCE) -> int:
    """Returns how many images bound the loss by `loss`, if none of them is lost."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-loss))
