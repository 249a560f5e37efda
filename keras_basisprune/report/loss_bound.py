"""How much is lost on all images, by what is lost on some."""

import math

CONFIDENCE = 0.95


def loss_bound(lost, gained, images, confidence=CONFIDENCE) -> float:
    """An upper confidence bound of the share of answers that are lost, less gained.

    Two networks are judged on the same images. The shares of answers that only the one
    and only the other has right have exact bounds by Clopper and Pearson, which hold
    for few images and for none lost (then this is `1 - (1 - confidence)**(1 / images)`,
    by the rule of three `3 / images`); they are put together by squares, as Newcombe
    does for differences. Where there are many images, the distance from the observed
    loss comes to the usual standard error times the normal quantile.

    Sources: Clopper and Pearson 1934; Newcombe 1998, *Improved confidence intervals for
    the difference between binomial proportions based on paired data*; Zou and Donner
    2008, section 2 (MOVER).

    Args:
        lost: Integer, images that only the first network has right.
        gained: Integer, images that only the second one has right.
        images: Integer, all of them, at least 1.
        confidence: Float in (0.5, 1), of this one-sided bound.

    Returns:
        A float in [-1, 1], at least `(lost - gained) / images`. What is gained by the
        second network at least, is `-loss_bound(gained, lost, images)`.
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
    if gained < images:  # the more of the one, the less of the other
        shared = math.sqrt(away * back / ((1 - away) * (1 - back)))
    return min(1.0, away - back + math.sqrt(up**2 + down**2 + 2 * shared * up * down))


def images_for(loss, confidence=CONFIDENCE) -> int:
    """So many images bound the loss by `loss`, if none of them is lost."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-loss))
