"""Scores of channels per cost."""

import keras
import numpy as np
import numpy.typing as npt

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plans.check_selection import check_channel_scores
from keras_basisprune.utils.check_choice import check_choice


def per_cost(
    model: keras.Model, scores: npt.ArrayLike, *, cost: str = "flops"
) -> np.ndarray:
    """Divides the score of each group of channels by its cost.

    Of two groups with the same score, the more expensive one is then removed first. A
    group's cost is what the whole model saves when this group is removed first, before
    all others. Time is linear in the number of channels.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        scores: Array of shape `(groups,)` in the numbering of `channel_groups(model)`,
            as the functions of `scores.channels` return it.
        cost: `"flops"` or `"params"`.

    Returns:
        A float64 array of shape `(groups,)`. Scores of groups that can't be removed, or
        that cost nothing, are unchanged.

    Raises:
        ValueError: If `scores` do not fit the model, or sizes of its input are unknown
            for `"flops"`.

    Example:

    >>> found = keras_basisprune.scores.channels.l2_norm(model)
    >>> found = keras_basisprune.plans.per_cost(model, found)
    >>> plan = keras_basisprune.select_channels(
    ...     model, keep=0.5, scores=found, scope="global")
    """
    check_choice("cost", cost, ("flops", "params"))
    traced = trace(model)
    channels = channel_map(traced)
    scores = check_channel_scores(scores, channels.count)
    each = ChannelCosts(traced, channels, cost).marginal()
    return scores / np.where(each > 0, each, 1.0)
