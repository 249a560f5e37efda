"""The classes that a classifier predicts."""

import numpy as np

from keras_basisprune.graph.running import predict


def predicted_classes(model, images) -> np.ndarray:
    """Returns the most probable class of each image.

    Args:
        model: A classifier.
        images: Array of images.

    Returns:
        Integer array of shape `(images,)`.
    """
    return np.argmax(predict(model, images, 64), axis=-1)
