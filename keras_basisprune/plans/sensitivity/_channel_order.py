"""The order in which channels leave."""

import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.plans._channel_choice import makers_of
from keras_basisprune.plans.check_selection import check_channel_scores
from keras_basisprune.scores.channels import compensated


def channel_order(model, copy, scores, batches, ridge) -> np.ndarray:
    """Returns scores in the numbering of a copy of a model.

    Args:
        model: The model.
        copy: Its copy, in which layers have the same names and channels.
        scores: Array in the numbering of `model`, or `None` for `compensated`.
        batches: Lists of arrays, for `compensated`.
        ridge: Float > 0, for `compensated`.

    Returns:
        A float64 array; infinite for groups that no layer of both makes.
    """
    if scores is None:
        return compensated(copy, KeptBatches.made_of(batches), ridge=ridge)
    ours, others = trace(model), trace(copy)
    known, channels = channel_map(ours), channel_map(others)
    scores = check_channel_scores(scores, known.count)
    found = np.full(channels.count, np.inf)
    makers = makers_of(others, channels)
    for name, of in makers_of(ours, known).items():
        if len(makers.get(name, ())) == len(of):
            found[makers[name]] = scores[of]
    return found
