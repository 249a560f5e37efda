"""Warnings after training that has masked nothing, or whose masks were undone."""

import numpy as np


def nothing_masked_warning(scores, scales, scope, costs, asked) -> str:
    """Says how far the weakest basis was from being masked, and what to change.

    Args:
        scores: A dict from layer names to arrays of shape `(rank,)`, without masked
            bases; `None` if they are not known.
        scales: All scales, an array.
        scope: `"local"` or `"global"`: how bases are selected.
        costs: Dict by layer name of what scores are divided by, or `None`.
        asked: The last `Target` by which bases could be masked, or `None`.

    Returns:
        A string.
    """
    text = "`L1Thresholding` has masked nothing, so that `prune` will remove nothing. "
    if asked is None:
        return text + (
            "No epoch or step was due for masking: check `start`, `frequency` and "
            "`unit`, and the metric that `monitor` names, which must be within its "
            "budget."
        )
    if asked.threshold is None:
        return text + (
            f"The last `threshold` was a share of {asked.ratio:.3g} of the bases. Let "
            "the schedule end within the steps of this training."
        )
    if scores and all(np.isfinite(values).all() for values in scores.values()):
        name, share = _weakest(scores, scope, costs)
        text += (
            f"The weakest basis (of `{name}`) has {share:.3g} of the score of the "
            f"strongest; the last `threshold` was {asked.threshold:.3g}. "
        )
    smallest = float(np.min(np.abs(scales)))
    return text + (
        f"The scales began at 1, and the smallest is now {smallest:.2g}. Raise "
        "`threshold`, or make the scales smaller by more epochs, a larger `l1` in "
        "`convert` or a higher learning rate. docs/training.md says what works."
    )


def masks_undone_warning(guard) -> str:
    """Says why a `Guard` has undone all masks, and what to change."""
    return (
        "`L1Thresholding` has undone all its masks, so that `prune` will remove "
        f"nothing: `{guard.monitor}` was worse than {guard.baseline:.4g} by more than "
        f"max_drop={guard.max_drop:g}. Let `threshold` rise from a smaller value (see "
        "`keras.optimizers.schedules`), or allow more `patience` or `max_drop`."
    )


def _weakest(scores, scope, costs) -> tuple[str, float]:
    """Returns the layer of the weakest basis, and its score relative to the maximum."""
    if scope == "global":
        costs = costs or dict.fromkeys(scores, 1.0)
        scores = {name: values / costs[name] for name, values in scores.items()}
        most = dict.fromkeys(scores, max(values.max() for values in scores.values()))
    else:
        most = {name: values.max() for name, values in scores.items()}
    shares = {name: v.min() / (most[name] or 1.0) for name, v in scores.items()}
    name = min(shares, key=shares.__getitem__)
    return name, float(shares[name])
