"""Compares two models, in a record that prints as a table."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_basisprune.graph.trace import check_model
from keras_basisprune.measure._count import Cost, count
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.text_table import text_table

# Words in the labels of shares, whose loss is shown in percentage points.
_SHARES = ("accuracy", "iou", "f1", "auc", "precision", "recall")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The costs of two models side by side; prints as a table.

    Attributes:
        before: `Cost` of the original model.
        after: `Cost` of the small one.
        extra: Maps further labels (`"accuracy"`, `"LiteRT bytes"`, ...) to pairs of
            numbers.
    """

    before: Cost
    after: Cost
    extra: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def params_ratio(self) -> float:
        """Parameters after / before; NaN if there were none before."""
        return _ratio(self.before.params, self.after.params)

    @property
    def flops_ratio(self) -> float:
        """FLOPs after / before; NaN if there were none before."""
        return _ratio(self.before.flops, self.after.flops)

    def __str__(self):
        pairs = {
            key: (getattr(self.before, key), getattr(self.after, key))
            for key in ("params", "flops", "bytes")
        }
        labels = {"params": "parameters", "flops": "FLOPs", "bytes": "weight bytes"}
        rows = [_row(labels[key], *pair) for key, pair in pairs.items()]
        rows += [_row(label, *pair) for label, pair in self.extra.items()]
        table = text_table(("<", "before", "after", "removed"), rows)
        uncounted = dict.fromkeys((*self.before.uncounted, *self.after.uncounted))
        if uncounted:
            table += f"\n\n  FLOPs without {shortened(uncounted, 5)}"
        return table


def compare(
    before: keras.Model,
    after: keras.Model,
    *,
    input_shape: Sequence[int | None] | None = None,
    **extra: Any,
) -> Comparison:
    """Compares two models.

    Args:
        before: The original `keras.Model`.
        after: The small `keras.Model`.
        input_shape: Shape of one sample, for models whose input sizes are `None`.
        **extra: More rows: a pair of numbers, or of files whose bytes are compared,
            by label (`_` means a space).

    Returns:
        A `Comparison`.

    Raises:
        ValueError: If a row of `extra` is not a pair, or a model can't be counted.

    Example:

    >>> print(keras_basisprune.compare(model, plain, accuracy=(0.941, 0.936)))
    """
    check_model("before", before)
    check_model("after", after)
    rows = {}
    for label, pair in extra.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"Expected `{label}` to be a pair (before, after). "
                f"Received: {label}={pair!r}. Pass two numbers or two paths."
            )
        rows[label.replace("_", " ")] = tuple(_number(label, x) for x in pair)
    costs = count(before, input_shape, "before"), count(after, input_shape, "after")
    return Comparison(*costs, rows)


def _number(label, value):
    """Returns the number itself, or the size of a file in bytes."""
    try:
        if isinstance(value, str | os.PathLike):
            with open(value, "rb"):  # fails on folders, too
                return os.path.getsize(value)
        float(value)
        return value
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"Expected `{label}` to hold numbers or paths of files. Received: "
            f"{value!r}, which failed with {type(error).__name__}: {error}. Write the "
            "file first, or pass its size."
        ) from error


def _ratio(before, after):
    return after / before if before else float("nan")


def _row(label, before, after):
    share = any(word in label.lower().split() for word in _SHARES)
    if share and max(before, after) <= 1:
        drop = f"{100 * (before - after):.2f} pp"
        return [label, f"{before:.4f}", f"{after:.4f}", drop]
    whole = all(float(x).is_integer() for x in (before, after))
    texts = [f"{x:,.0f}" if whole else f"{x:.4g}" for x in (before, after)]
    share = f"{100 * (1 - after / before):.1f} %" if before else "-"
    return [label, *texts, share]
