"""Sets images aside, to judge a network on what it does not train on."""

import numpy as np


def set_aside(train, share, seed):
    """Splits images, and labels if there are any, at random.

    Args:
        train: A pair `(x, y)` of arrays; `y` may be `None`.
        share: Float in [0, 1), the share to set aside.
        seed: Integer that determines which.

    Returns:
        Two such pairs: what is left, in the old order, and what is set aside, which is
        at least one image; `None` if `share` is 0 or there is one image only.
    """
    images, labels = train
    count = min(max(1, round(share * len(images))), len(images) - 1)
    if not share or not count:
        return train, None
    chosen = np.zeros(len(images), bool)
    # Not the first order of training, which has the same seed.
    order = np.random.default_rng((seed, len(images))).permutation(len(images))
    chosen[order[:count]] = True
    return tuple(
        (images[part], None if labels is None else labels[part])
        for part in (~chosen, chosen)
    )
