"""Changes images as training does."""

import numpy as np

from keras_basisprune.training.epochs import EpochData, Epochs


def augmented(images, recovery, shape=None) -> np.ndarray:
    """Returns images as one epoch of training sees them: augmented and shuffled.

    Time and memory grow with the number of images.

    Args:
        images: Array of shape `(n, ...)`.
        recovery: A `Recovery`, of which `augment`, `batch_size` and `seed` are used.
        shape: Shape that they must fit, the batch axis included; `None` for any size.

    Returns:
        An array of `n` images.

    Raises:
        ValueError: If `recovery.augment` returns images of another shape.

    Example:

    >>> recovery = Recovery(augment=augmentation("horizontal", 0.1))
    >>> whole = convert(model, data=augmented(images, recovery))
    """
    nothing = np.zeros(len(images))
    data = EpochData(images, nothing, recovery.augment, shape=shape)
    epoch = Epochs(data, recovery.batch_size, recovery.seed)
    return np.concatenate([epoch[index][0] for index in range(epoch.num_batches)])
