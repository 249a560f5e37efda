"""Images as training sees them."""

import numpy as np

from keras_basisprune.training.epochs import EpochData, Epochs


def augmented(images, recovery, shape=None) -> np.ndarray:
    """Images as one epoch of training sees them: changed at random, in another order.

    Time and memory are those of an epoch's images.

    Args:
        images: Array of shape `(n, ...)`.
        recovery: A `Recovery`: what changes them, and the seed.
        shape: What they must fit, the batch axis included; `None` for any size.

    Returns:
        An array of `n` images.

    Raises:
        ValueError: If `recovery.augment` returns others than were wanted.

    Example:

    >>> recovery = Recovery(augment=augmentation("horizontal", 0.1))
    >>> whole = convert(model, data=augmented(images, recovery))
    """
    nothing = np.zeros(len(images))
    data = EpochData(images, nothing, recovery.augment, shape=shape)
    epoch = Epochs(data, recovery.batch_size, recovery.seed)
    return np.concatenate([epoch[index][0] for index in range(epoch.num_batches)])
