"""How often a classifier is right."""

import numpy as np

from keras_basisprune.data._ends import check_ends


def accuracy(model, data, batch_size=64) -> float:
    """Share of images whose most probable class is their label.

    Args:
        model: A classifier; it need not be compiled.
        data: A pair `(x, y)` of arrays, `y` integer labels.
        batch_size: Integer.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If the images go on for ever.
    """
    images, labels = data
    check_ends("data", images)
    predicted = model.predict(images, batch_size=batch_size, verbose=0)
    return float(np.mean(np.argmax(predicted, axis=-1) == labels))
