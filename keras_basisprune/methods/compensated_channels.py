"""Channel pruning with compensation by the kept channels."""

from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.compensate import compensate


def compensated_scores(model, *, data):
    """Scores channels by the loss when the others replace them.

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
    """Keeps the channels that the others can least replace.

    Args:
        model: A `keras.Model`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `compensated_scores` returned, if that is known already.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels, an equal share of each layer.
    """
    if scores is None:
        scores = compensated_scores(model, data=data)
    return select_channels(model, keep=keep, scores=scores, cost=cost, limits=limits)


def compensated_network(model, plan, *, data=None, compensation=True):
    """Prunes channels, and corrects the layers that read them.

    Args:
        model: A `keras.Model`.
        plan: A `Plan` of channels.
        data: Unlabelled samples.
        compensation: Whether to correct; otherwise channels are only removed.

    Returns:
        A smaller `keras.Model`.
    """
    if not compensation:
        return prune(model, plan)
    return compensate(model, plan, data, verbose=0)
