"""Checks whether a model is better than one answer for all images."""

import math

import numpy as np


def low_baseline(baseline, labels) -> str:
    """Returns a warning if a model is no better than one answer for all images.

    Such a model is untrained, or was trained on pixels of another range.

    Args:
        baseline: Float, its accuracy.
        labels: Integer array of the labels.

    Returns:
        A string, empty if the model is better than that.
    """
    most = np.bincount(labels).max() / len(labels)
    if not baseline <= most < 1:
        return ""
    return (
        "Expected `model` to be better on `validation` than one answer to all "
        f"images ({most:.4f}). Received: {baseline:.4f}. Is the range of pixels the "
        "one that it was trained on? Those of `load_data` and the command line are in "
        "[0, 255]: a model for [0, 1] needs `keras.layers.Rescaling(1 / 255)` in front."
    )


def low_score(score) -> str:
    """Returns a warning if a model scores no better than its mean answer.

    Args:
        score: A `Scorer`.

    Returns:
        A string, empty if the model is better than that, or nothing is known of it.
    """
    nothing = score.measure.share and score.baseline <= 0
    if math.isnan(score.constant) and not nothing:
        return ""
    if not nothing and score.sign * score.baseline > score.sign * score.constant:
        return ""
    other = "0" if nothing else f"{score.constant:.4g}"
    return (
        "Expected `model` to be better on `validation` than one answer to all samples "
        f"({score.measure.text} {other}). Received: {score.baseline:.4g}. Is it "
        "trained, and are inputs and labels in the range that it was trained on?"
    )
