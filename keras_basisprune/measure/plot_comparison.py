"""Plots a comparison of two models."""

import pathlib

from keras_basisprune.measure._count import Cost
from keras_basisprune.measure.compare import Comparison
from keras_basisprune.measure.figures import check_picture, figure, save
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Path

_BEFORE, _AFTER = "#c9d1d9", "#1f6feb"


def plot_comparison(
    comparison: Comparison, path: Path, *, title: str | None = None
) -> pathlib.Path:
    """Draws the share that is kept in each row of a `Comparison`, as bars in per cent.

    Needs matplotlib (extra `plots`).

    Args:
        comparison: What `compare` returned.
        path: File to write; `.png`, `.svg` or `.pdf`. Parent folders are created.
        title: Optional line above the picture.

    Returns:
        The path.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If `comparison` is not a `Comparison`, or another argument is wrong.

    Example:

    >>> record = keras_basisprune.compare(model, small, accuracy=(0.991, 0.987))
    >>> keras_basisprune.measure.plot_comparison(record, "before_after.png")
    """
    if not isinstance(getattr(comparison, "before", None), Cost):
        raise ValueError(
            "Expected `comparison` to be what `compare` returns. Received: "
            f"comparison={shown(comparison)}. Pass `compare(model, small)`."
        )
    check_picture("path", path)
    if not (title is None or isinstance(title, str)):
        raise ValueError(
            "Expected `title` to be a string or None. "
            f"Received: title={shown(title)}. Leave it out for no title."
        )
    rows = {
        "parameters": (comparison.before.params, comparison.after.params),
        "FLOPs": (comparison.before.flops, comparison.after.flops),
        **comparison.extra,
    }
    rows = {label: pair for label, pair in rows.items() if pair[0]}
    canvas = figure(7.0, 0.55 * len(rows) + 0.8)
    axis = canvas.subplots()
    for place, (before, after) in enumerate(rows.values()):
        kept = after / before
        axis.barh(place, 100, color=_BEFORE, height=0.7)
        axis.barh(place, 100 * kept, color=_AFTER, height=0.7)
        text = f"{_number(before)} → {_number(after)}"
        inside = kept > 0.6
        axis.text(
            2 if inside else 100 * kept + 2,
            place,
            text,
            va="center",
            color="white" if inside else "black",
        )
    axis.set_yticks(range(len(rows)), rows)
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    axis.set_xlabel("% of the original")
    axis.spines[["top", "right"]].set_visible(False)
    if title:
        axis.set_title(title, loc="left")
    return save(canvas, path)


def _number(value) -> str:
    return (
        f"{value:,.0f}" if float(value).is_integer() and value >= 10 else f"{value:.4g}"
    )
