"""The delta between two networks."""

import numpy as np

from keras_basisprune.methods.diff_pruning._fingerprint import array_of, fingerprint
from keras_basisprune.methods.diff_pruning._head_configs import head_configs
from keras_basisprune.methods.diff_pruning._task_weights import (
    split_weights,
    task_weights,
)
from keras_basisprune.methods.diff_pruning.weight_change import WeightChange


def compared(base, tuned, head) -> dict:
    """Returns the arguments of the `TaskDelta` that turns one network into another.

    Args:
        base: A built `keras.Model`.
        tuned: One with the same weights, apart from the head's shapes.
        head: As in `task_weights`, of `tuned`.
    """
    mine = task_weights(tuned, head)
    count = len(tuned.weights)
    if len(base.weights) == count:
        inside = [place in mine.places for place in range(count)]
        old = split_weights(base, inside).base
    else:
        old = list(base.weights)
    shapes = [[(tuple(v.shape), v.dtype) for v in part] for part in (old, mine.base)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "Expected `tuned` to have the weights of `base`, apart from the head. "
            f"Received: {len(mine.base)} weights without a head of {len(mine.head)}, "
            f"and {len(old)} of the base, of other numbers, shapes or dtypes. Pass a "
            "network that was trained from this base, and the names of its head."
        )
    changes = []
    for place, (before, after) in enumerate(zip(old, mine.base, strict=True)):
        change = _change(place, before, after)
        if change is not None:
            changes.append(change)
    return {
        "changes": changes,
        "head": [
            WeightChange(v.path, n, v.shape, array_of(v))
            for n, v in zip(mine.places, mine.head, strict=True)
        ],
        "fingerprint": fingerprint(old),
        "base_size": sum(int(np.prod(v.shape)) for v in old),
        "weight_count": count,
        "head_layers": head_configs(tuned, mine.head),
    }


def _change(place, before, after):
    """The bits that differ: of weights that don't train, the whole weight."""
    old, new = array_of(before), array_of(after)
    rows = [a.reshape(-1, 1).view(np.uint8).reshape(a.size, -1) for a in (old, new)]
    differ = np.flatnonzero((rows[0] != rows[1]).any(1))
    if not len(differ):
        return None
    if not after.trainable or not new.shape:
        return WeightChange(after.path, place, new.shape, new)
    values = new.reshape(-1)[differ]
    return WeightChange(after.path, place, new.shape, values, differ)
