"""Plots what a network's outputs lose as each of its layers is cut."""

import pathlib

import numpy as np

from keras_basisprune.measure.figures import check_picture, figure, save
from keras_basisprune.plans.sensitivity.record import Sensitivity
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.types import Path

_LEAST = 1e-5  # smaller losses are drawn here
_KINDS = ("channels", "bases")


def plot_sensitivity(sensitivity: Sensitivity, path: Path) -> pathlib.Path:
    """Draws the loss of the outputs against the share that one layer keeps.

    There is one panel for channels and one for bases, as far as they were measured, and
    one line per layer, from dark (first) to bright (last); points are measurements.
    Needs matplotlib (extra `plots`).

    Args:
        sensitivity: What `sensitivity` returned.
        path: File to write; `.png`, `.svg` or `.pdf`. Parent folders are created.

    Returns:
        The path.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If the record has no curves, or an argument is not of its kind.

    Example:

    >>> keras_basisprune.plans.plot_sensitivity(found, "sensitivity.png")
    """
    remedy = "Measure one with `keras_basisprune.sensitivity(model, data)`."
    check_kind("sensitivity", sensitivity, Sensitivity, remedy)
    check_picture("path", path)
    kinds = [k for k in _KINDS if any(c.kind == k for c in sensitivity.curves)]
    if not kinds:
        raise ValueError(
            "Expected `sensitivity` to have curves. Received: none. Measure a model "
            "with channels that may leave, or layers that can be decomposed."
        )
    canvas = figure(5.2 * len(kinds) + 1.2, 4.0)
    axes = canvas.subplots(1, len(kinds), squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        _panel(axis, kind, [c for c in sensitivity.curves if c.kind == kind])
    axes[0].set_ylabel("loss of the outputs, one layer cut")
    return save(canvas, path)


def _panel(axis, kind, curves):
    for number, curve in enumerate(curves):
        colour = _colour(number / max(len(curves) - 1, 1))
        counts = np.arange(len(curve.order) + 1)
        losses = np.maximum(curve.expected(), _LEAST)
        axis.plot(1 - counts / curve.total, losses, color=colour, label=curve.layer)
        shares = 1 - np.array(curve.removed, float) / curve.total
        measured = np.maximum(np.array(curve.losses, float), _LEAST)
        axis.plot(shares, measured, ".", color=colour)
    axis.set_yscale("log")
    axis.set_xlim(1.0, 0.0)
    axis.set_xlabel(f"share of a layer's {kind} that is kept")
    if len(curves) <= 24:
        axis.legend(fontsize=6, ncols=2)


def _colour(place):
    """From dark blue to yellow."""
    first, last = np.array([0.05, 0.15, 0.5]), np.array([0.95, 0.8, 0.1])
    return tuple(first + place * (last - first))
