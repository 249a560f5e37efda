"""Channels leave, and those that stay make up for them."""

from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.compensate import compensate


def compensated_scores(model, *, data):
    """Scores channels by what is lost when the others stand in for them.

    Args:
        model: A `keras.Model`.
        data: Unlabelled samples.

    Returns:
        An array of scores, see `scores.channels.compensated`.
    """
    return compensated(model, data)


def compensated_plan(
    model, *, keep, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Chooses the channels that the others can least stand in for.

    Args:
        model: A `keras.Model`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `compensated_scores` returned, if that is at hand.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels, an equal share of each layer.
    """
    if scores is None:
        scores = compensated_scores(model, data=data)
    return select_channels(model, keep=keep, scores=scores, cost=cost, limits=limits)


def compensated_network(model, plan, *, data=None, compensation=True):
    """Prunes channels, and corrects what read them.

    Args:
        model: A `keras.Model`.
        plan: A `Plan` of channels.
        data: Unlabelled samples.
        compensation: Whether to correct; else channels are only cut out.

    Returns:
        A smaller `keras.Model`.
    """
    if not compensation:
        return prune(model, plan)
    return compensate(model, plan, data, verbose=0)
