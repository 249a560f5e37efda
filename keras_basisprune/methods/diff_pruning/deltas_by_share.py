"""Diff pruning for several shares."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_basisprune.methods.diff_pruning._learner import LABELS, learned_deltas
from keras_basisprune.methods.diff_pruning.diff_options import DiffOptions
from keras_basisprune.methods.diff_pruning.task_delta import TaskDelta
from keras_basisprune.utils.check_number import is_number
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Verbose


def deltas_by_share(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    *,
    shares: Sequence[float],
    head: str | Sequence[str] | None = None,
    loss: Any = LABELS,
    config: DiffOptions | None = None,
    verbose: Verbose = "auto",
) -> dict[float, TaskDelta]:
    """Learns one difference, and keeps several shares of it, to choose from.

    Each delta is that of `diff_pruning` for its share. The difference of all weights is
    trained once, what is kept of it for each share: for six shares this takes little
    more than half of the time of six calls.

    Args:
        model: As in `diff_pruning`, and so are the following.
        train: A pair `(x, y)`, or what gives such batches.
        validation: The same, or `None`.
        shares: List of floats in [0, 1].
        head: Name or names of the layers of the head.
        loss: A loss as in `keras.Model.compile`.
        config: A `DiffOptions`; defaults to `DiffOptions()`.
        verbose: As in `keras.Model.fit`.

    Returns:
        A dict from each share to its `TaskDelta`.

    Raises:
        ValueError: As in `diff_pruning`.

    Example:

    >>> deltas = deltas_by_share(model, (x, y), shares=[0.001, 0.005, 0.02])
    >>> deltas[0.005].save("task.npz")
    """
    listed = isinstance(shares, list | tuple)
    if not listed or not shares or not all(is_number(x, "[0, 1]") for x in shares):
        raise ValueError(
            "Expected `shares` to be a list of floats in [0, 1]. Received: "
            f"shares={shown(shares)}. Pass [0.005, 0.02], say."
        )
    rest = head, loss, config, verbose
    found = learned_deltas(model, train, validation, list(shares), *rest)
    return dict(zip(shares, found, strict=True))
