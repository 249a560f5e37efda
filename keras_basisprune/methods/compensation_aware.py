"""As many channels of each layer leave as the accuracy of the network allows."""

import keras
import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.methods.structural_search import StructuralSearch
from keras_basisprune.methods.tolerated_drops import tolerated_drops
from keras_basisprune.plan import Plan
from keras_basisprune.plans.check_selection import check_channel_scores, check_cost
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose


def compensation_aware(
    model: keras.Model,
    data: Data = None,
    *,
    keep: float | None = None,
    cost="flops",
    scores=None,
    limits=None,
    config: StructuralSearch | None = None,
    verbose: Verbose = "auto",
) -> Plan:
    """Chooses the channels of each layer by binary search under a falling floor.

    Layer after layer (group after group, where the architecture ties layers together),
    channels leave in the order of `scores.channels.compensated`, which is that of the
    downdated inverse. By bisection over `config.steps` numbers of channels, as many
    leave as the *network* bears: what reads them is corrected by least squares, and
    the accuracy of the whole (with labels) or its agreement with the original (without)
    must not fall below a floor, on the half of `data` that nothing is fitted on (on all
    of them, if they are few: `config.held_out`). The floor is the original's score for
    the first layer, and falls linearly to `max_drop` below it at the last.

    With `keep`, the budget is what is searched: those of `config.drops` are tried, one
    after the other, until the cost is met, and what leaves between the last two is
    divided alike among all layers. No network is judged then at the end: accuracy is
    what the share costs.

    The plan is made for `compensate`, which corrects layers once more, in order.

    No network is built but one copy: channels are masked, and weights set in place. For
    each layer that is decided on, `data` go on through original and copy as far as to
    what reads its channels, the covariance of that is taken once (`O(n^2)` a position,
    `n = kh kw cin`), and each of about `log2(steps)` trials takes a solution `O(n^3)`
    and the rest of the network. So a budget takes about `log2(steps) / 2 + 1` passes of
    `data` through the network for each layer, and `keep` takes several budgets. Memory
    is that of `compensate`.

    Source: Xie, Fu, Tian, Zhou, Chen 2021, *Pruning with Compensation: Efficient
    Channel Pruning for Deep Convolutional Neural Networks* (CaP, arXiv:2108.13728).

    Args:
        model: A classifier, a built Functional or Sequential `keras.Model`.
        data: Some hundred samples, in any form that `compensate` takes: unlabelled, or
            with integer labels (and weights), as pairs `(x, y)` or triples
            `(x, y, sample_weight)`. Weights count where networks are judged. Take
            samples that the model was not trained on: on others it is too good for a
            budget to mean much. Not needed with `scores`.
        keep: Float in (0, 1], the share of the model's cost to keep; or `None`: as much
            leaves as `config.max_drop` allows.
        cost: `"flops"` or `"params"`: what `keep` is a share of.
        scores: What `tolerated_drops` returned for this model, if it is at hand.
        limits: What layers must keep, as in `select_channels`. Channels that are kept
            are multiples of its `round_to`.
        config: A `StructuralSearch`.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A `Plan` of channels.

    Raises:
        ValueError: If an argument is not of its kind, the model is no classifier or has
            no channels that may leave, the data do not fit it, or `keep` can't be
            reached within the limits.

    Example:

    >>> plan = keras_basisprune.methods.compensation_aware(model, (x, y))
    >>> small = keras_basisprune.compensate(model, plan, x)
    """
    config = check_record("config", config, StructuralSearch)
    limits = check_record("limits", limits, Limits)
    check_cost(cost, "channels")
    check_verbose(verbose)
    if keep is not None:
        expected = "a float in (0, 1], the share to keep, or None"
        keep = check_number(
            "keep", keep, "(0, 1]", expected, "0.25 removes three quarters."
        )
    check_model("model", model)
    traced = trace(model)
    channels = channel_map(traced)
    if scores is not None:
        scores = check_channel_scores(scores, channels.count)
    given = {"limits": limits, "config": config, "verbose": verbose}
    if keep is None:
        drop = config.max_drop
        if scores is None:
            scores = tolerated_drops(model, data, drops=(drop,), **given)
        free = np.delete(np.arange(channels.count), list(channels.pinned))
        share = float(np.mean(scores[free] > drop))
        return select_channels(
            model,
            keep=share,
            scores=scores,
            cost="channels",
            scope="global",
            limits=limits,
        )
    if scores is None:
        any_order = np.arange(channels.count, dtype=float)
        # Can it be met?
        select_channels(
            model, keep=keep, scores=any_order, cost=cost, scope="global", limits=limits
        )
        enough = None  # of milliseconds: all budgets
        if isinstance(cost, str):
            enough = _met(ChannelCosts(traced, channels, cost), keep, channels.count)
        scores = tolerated_drops(model, data, enough=enough, **given)
    return select_channels(
        model, keep=keep, scores=scores, cost=cost, scope="global", limits=limits
    )


def _met(costs, keep, count):
    """A function that says whether groups that are left cost no more than a share."""
    most = keep * costs(np.ones(count, bool))
    return lambda alive: costs(alive) <= most
