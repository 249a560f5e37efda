"""Random importance of channels, as a baseline for other criteria."""

import keras
import numpy as np

from keras_basisprune.scores.channels._groups import Groups
from keras_basisprune.utils.check_whole import check_whole


def random(model: keras.Model, *, seed: int = 0) -> np.ndarray:
    """Scores each group of channels by a random number, as a control in experiments.

    No data is needed. Time is linear in the number of calls and channels.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        seed: Integer >= 0. The same seed gives the same scores.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`, uniform in [0, 1).
        `inf` for groups that can't be removed.

    Raises:
        ValueError: If `seed` is not an integer >= 0, or the model is subclassed or not
            built.

    Example:

    >>> scores = keras_basisprune.scores.channels.random(model, seed=1)
    """
    seed = check_whole("seed", seed, 0)
    channels = Groups(model).channels
    scores = np.random.default_rng(seed).random(channels.count)
    scores[list(channels.pinned)] = np.inf
    return scores
