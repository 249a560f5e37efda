"""Channel pruning with compensation by the kept channels."""

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.plan import Plan
from keras_basisprune.plans.measured_path import MeasuredPath
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.compensate import compensate

# The sensitivity is measured again at 1/2, 1/4, ... of the cost; losses by a part of
# the data, after fits to all others: what few samples can't fit would pass for the
# layer's fault.
_STEP, _SHARES, _MOST, _EVENNESS = 0.5, (0.8, 0.5, 0.25), 100, 1.0
_FEWEST = 32  # samples, to fit on and to judge by


def compensated_scores(model, *, data):
    """Prepares plans by measured sensitivity; measures when the first one is made.

    Args:
        model: A `keras.Model`.
        data: Unlabelled samples.

    Returns:
        A `plans.measured_path.MeasuredPath`, in which channels leave in the order of
        `scores.channels.compensated`. With fewer than 32 samples, which say too little
        of the outputs, that array of scores.
    """
    size = samples_at_once(model)
    batches = list(sample_batches(model, None, data, "data", size, kept=True))
    whole = fixed_batch(model) is not None
    if sum(len(arrays[0]) for arrays in batches) < _FEWEST or len(batches) <= whole:
        return compensated(model, iter(batches))
    given = {"shares": _SHARES, "most": _MOST, "evenness": _EVENNESS}
    return MeasuredPath(model, iter(batches), _STEP, **given)


def compensated_plan(
    model, *, keep, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Keeps the channels that the others can least replace.

    How many each layer keeps follows from its measured `sensitivity`.

    Args:
        model: A `keras.Model`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `compensated_scores` returned, if that is known already; or an
            array of scores, by which each layer loses an equal share.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels.
    """
    if scores is None:
        scores = compensated_scores(model, data=data)
    if isinstance(scores, MeasuredPath):
        return scores.plan(keep, cost, limits)
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
