"""Divides samples into folds, for cross-validation."""

import numpy as np

from keras_basisprune.graph.position_jitter import position_jitter

# Parts of the samples, of which one after the other is left out.
FOLDS = 5


def sample_folds(batches, count=FOLDS) -> list[np.ndarray]:
    """Divides samples into folds of about the same size, by their content.

    The same samples are in the same folds in any order and in batches of any size.
    Equal samples are neighbours, so that few of them are divided among folds.

    Args:
        batches: A list of lists of arrays, one per input of the model.
        count: Integer, the number of folds.

    Returns:
        A list of integer arrays, one per batch: the fold of each sample.
    """
    drawn = [position_jitter(arrays, 1)[:, 0] for arrays in batches]
    together = np.concatenate(drawn)
    places = np.argsort(np.argsort(together, kind="stable"), kind="stable")
    folds = places * count // max(1, len(together))
    return np.split(folds, np.cumsum([len(part) for part in drawn])[:-1])
