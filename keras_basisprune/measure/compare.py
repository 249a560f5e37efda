"""Before and after, as a record with a readable table."""

import dataclasses
import os
from collections.abc import Mapping

from keras_basisprune.measure._table import text_table
from keras_basisprune.measure.cost import Cost, cost


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What two models cost, side by side; prints as a table.

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
        """Parameters after / before."""
        return self.after.params / self.before.params

    @property
    def flops_ratio(self) -> float:
        """FLOPs after / before."""
        return self.after.flops / self.before.flops

    def __str__(self):
        pairs = {
            key: (getattr(self.before, key), getattr(self.after, key))
            for key in ("params", "flops", "bytes")
        }
        labels = {"params": "parameters", "flops": "FLOPs", "bytes": "weight bytes"}
        rows = [_row(labels[key], *pair) for key, pair in pairs.items()]
        rows += [_row(label, *pair) for label, pair in self.extra.items()]
        return text_table(("<", "before", "after", "removed"), rows)


def compare(before, after, input_shape=None, **extra) -> Comparison:
    """Compares two models.

    Args:
        before: The original `keras.Model`.
        after: The small `keras.Model`.
        input_shape: Shape of one sample, for models whose input sizes are `None`.
        **extra: More rows: a pair of numbers, or of files whose bytes are compared,
            by label (`_` stands for a space).

    Returns:
        A `Comparison`.

    Raises:
        ValueError: If a row of `extra` is not a pair, or a model can't be counted.

    Example:

    >>> print(keras_basisprune.compare(model, plain, accuracy=(0.941, 0.936)))
    """
    rows = {}
    for label, pair in extra.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"Expected `{label}` to be a pair (before, after). "
                f"Received: {label}={pair!r}. Pass two numbers or two paths."
            )
        rows[label.replace("_", " ")] = tuple(
            os.path.getsize(x) if isinstance(x, str | os.PathLike) else x for x in pair
        )
    return Comparison(cost(before, input_shape), cost(after, input_shape), rows)


def _row(label, before, after):
    whole = all(float(x).is_integer() for x in (before, after))
    before_text, after_text = (f"{x:,.0f}" if whole else f"{x:.4g}" for x in (before, after))
    if label.startswith("accuracy"):
        return [label, f"{before:.4f}", f"{after:.4f}", f"{100 * (before - after):.2f} pp"]
    share = f"{100 * (1 - after / before):.1f} %" if before else "-"
    return [label, before_text, after_text, share]
