"""Whether a model has learned something of the data."""

import numpy as np


def low_baseline(baseline, labels) -> str:
    """Says that a model has learned nothing, or that it sees other pixels.

    Args:
        baseline: Float, its accuracy.
        labels: Integer array of the labels.

    Returns:
        A string, empty if the model is better than one answer to all images.
    """
    most = np.bincount(labels).max() / len(labels)
    if not baseline <= most < 1:
        return ""
    return (
        "Expected `model` to be better on `validation` than one answer to all "
        f"images ({most:.4f}). Received: {baseline:.4f}. Are the pixels as it was "
        "trained on? Those of `load_data` and the command line are in [0, 255]: a "
        "model for [0, 1] needs `keras.layers.Rescaling(1 / 255)` in front."
    )
