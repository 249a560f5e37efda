"""Plots the singular values and kept bases of each layer."""

import math
import pathlib

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.figures import check_picture, figure, save
from keras_basisprune.plan import Plan
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.types import Path

_KEPT, _MASKED = "#1f6feb", "#c9d1d9"


def plot_bases(
    model: keras.Model, path: Path, *, plan: Plan | None = None
) -> pathlib.Path:
    """Draws `|s_i| sigma_i` of each basis of each decomposed layer.

    There is one panel per layer, with the bases in descending order of their singular
    values, relative to the layer's largest singular value; kept bases are blue, masked
    ones grey. Needs matplotlib (extra `plots`).

    Args:
        model: A converted model, masked or not.
        path: File to write; `.png`, `.svg` or `.pdf`. Parent folders are created.
        plan: A `Plan` whose bases are drawn as kept; `None` for those not masked.

    Returns:
        The path.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If the model is not converted, or the plan does not fit it.

    Example:

    >>> keras_basisprune.measure.plot_bases(converted, "bases.png")
    """
    check_picture("path", path)
    if plan is not None:
        check_kind("plan", plan, Plan, "Leave it out to see which are masked.")
    found = basis_pairs(trace(model), model.name)
    _check(plan, found)
    pairs = list(found.values())
    columns = min(4, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    canvas = figure(3.2 * columns, 2.2 * rows + 0.4)
    axes = list(canvas.subplots(rows, columns, squeeze=False).flat)
    for axis, pair in zip(axes, pairs, strict=False):
        _panel(axis, pair, _kept(pair, plan))
    for axis in axes[len(pairs) :]:
        axis.set_axis_off()
    canvas.supylabel("|scale| x singular value, relative")
    canvas.supxlabel("basis")
    return save(canvas, path)


def _check(plan, pairs):
    for name, kept in plan.bases.items() if plan is not None else ():
        rank = pairs[name].rank if name in pairs else "none"
        if kept.total != rank:
            raise ValueError(
                "Expected `plan` to count the bases of decomposed layers of `model`. "
                f"Received: {kept.total} bases of `{name}`, which has {rank}. Make the "
                "plan from this model."
            )


def _kept(pair, plan):
    """Returns a boolean array of shape `(rank,)`."""
    if plan is None or pair.name not in plan.bases:
        return pair.mask
    return np.isin(np.arange(pair.rank), plan.bases[pair.name].indices)


def _panel(axis, pair, kept):
    values = pair.singular_values
    order = np.argsort(-values, kind="stable")
    heights = pair.scaling.strength()[order] / (values.max() or 1.0)
    kept = kept[order]
    places = np.arange(len(values))
    for chosen, colour in ((~kept, _MASKED), (kept, _KEPT)):
        axis.bar(places[chosen], heights[chosen], width=1.0, color=colour)
    axis.set_ylim(0.0, 1.05)
    axis.set_xlim(-1, len(values))
    axis.set_title(f"{pair.name}: {int(kept.sum())} of {len(kept)} kept", fontsize=9)
    axis.tick_params(labelsize=7)
