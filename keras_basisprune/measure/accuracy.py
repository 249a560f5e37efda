"""How often a classifier is right."""

import keras
import numpy as np

from keras_basisprune.graph.running import predict
from keras_basisprune.trace import check_model


def accuracy(model, data, batch_size=64) -> float:
    """Share of images whose most probable class is their label.

    Args:
        model: A classifier; it need not be compiled.
        data: A pair `(x, y)` of arrays, `y` integer labels.
        batch_size: Integer.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If `model` is no built `keras.Model`.
    """
    check_model("model", model, readable=isinstance(model, keras.Sequential))
    images, labels = data
    predicted = predict(model, images, batch_size)
    return float(np.mean(np.argmax(predicted, axis=-1) == labels))
