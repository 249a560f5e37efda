"""Importance of channels by the accuracy that a structural search may lose."""

import keras
import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.methods._check_drops import check_drops
from keras_basisprune.methods._judged_data import JudgedData
from keras_basisprune.methods._layer_search import LayerSearch
from keras_basisprune.methods._virtual_pruning import VirtualPruning
from keras_basisprune.methods.structural_search import StructuralSearch
from keras_basisprune.plans.channel_blocks import channel_blocks
from keras_basisprune.plans.limits import Limits
from keras_basisprune.scores.channels import compensated
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Verbose


def tolerated_drops(
    model: keras.Model,
    data: Data,
    *,
    drops=None,
    limits=None,
    config: StructuralSearch | None = None,
    enough=None,
    verbose: Verbose = "auto",
) -> np.ndarray:
    """Scores each group of channels by the budget at which the search lets it leave.

    The search is run for one budget after the other; what one has removed stays
    removed. Groups that leave at the same budget get scores between it and the one
    before, in the order in which they leave their layer and alike in all layers. So a
    threshold on the scores is a budget, and `select_channels` with `scope="global"`
    finds the budget for a share of the cost.

    Time and memory: see `compensation_aware`.

    Args:
        model: A classifier, a built Functional or Sequential `keras.Model`.
        data: As in `compensation_aware`.
        drops: Increasing floats in [0, 1]: the budgets. Defaults to `config.drops`.
        limits: As in `select_channels`.
        config: A `StructuralSearch`.
        enough: `enough(alive)` says of a boolean array of the groups that are left
            whether no larger budget is needed. Defaults to running all.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`: `inf` for groups that
        can't leave, above 1 for those that left at no budget.

    Raises:
        ValueError: If an argument is not of its kind, the model is no classifier or has
            no channels that may leave, or the data do not fit it.
    """
    config = check_record("config", config, StructuralSearch)
    limits = check_record("limits", limits, Limits)
    drops = config.drops if drops is None else check_drops("drops", drops, "[0, 1]")
    _check_enough(enough)
    verbose = check_verbose(verbose)
    check_model("model", model)
    check_finite_weights(model)
    traced = trace(model)
    channels = channel_map(traced)
    _check_free(model, groups_of(traced, channels))
    known = JudgedData(model, data, config.held_out)
    order = compensated(model, known.fitted, ridge=config.ridge)
    blocks = channel_blocks(traced, channels, order, limits, config.steps)
    pruning = VirtualPruning(
        model, traced, channels, known.fitted, known.judged, config.ridge
    )
    search = LayerSearch(pruning, blocks, known)
    scores, before = np.full(channels.count, np.inf), 0.0
    steps = [0] * len(blocks)
    for drop in drops:
        found = search.run(drop, steps, verbose)
        for block, low, high in zip(search.blocks, steps, found, strict=True):
            gone = block.groups[block.counts[low] : block.counts[high]]
            scores[gone] = before + (drop - before) * _shares(gone)
        before, steps = drop, found
        if enough is not None and enough(pruning.alive):
            break
    for block, step in zip(search.blocks, steps, strict=True):
        rest = block.groups[block.counts[step] :]
        scores[rest] = 1.0 + _shares(rest)
    return scores


def _shares(groups) -> np.ndarray:
    """Numbers from above 0 to 1, at equal distances."""
    return np.arange(1, len(groups) + 1) / max(len(groups), 1)


def _check_enough(enough):
    if enough is None or callable(enough):
        return
    raise ValueError(
        "Expected `enough` to be a function of a boolean array, or None. Received: "
        f"enough={shown(enough)}. Pass, for example, `lambda alive: alive.sum() < 9`."
    )


def _check_free(model, groups):
    if groups.count > len(groups.pinned):
        return
    reasons = shortened(dict.fromkeys(groups.pinned.values()), 4, "; ")
    raise ValueError(
        "Expected `model` to have channels that may leave. Received: "
        f"model={model.name!r}, in which all stay ({reasons}). Pass a model with "
        "convolutions or hidden layers; `channel_groups(model)` says what stays."
    )
