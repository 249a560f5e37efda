"""What is said when training has masked nothing."""

import numpy as np


def nothing_masked(scores, scales, scope, costs, asked) -> str:
    """Says how far the weakest basis was from being masked, and what to change.

    Args:
        scores: A dict from layer names to arrays of shape `(rank,)`, none masked;
            `None` if they are not known.
        scales: All scales, an array.
        scope: `"local"` or `"global"`: how bases are selected.
        costs: What scores are divided by, by the names of layers, or `None`.
        asked: The `Target` of the last time that bases could be masked, or `None` if
            there was no such time.

    Returns:
        A text of some lines.
    """
    text = "`L1Thresholding` has masked nothing, so that `prune` will remove nothing. "
    if asked is None:
        return text + (
            "It never came to it: look at `start`, `frequency` and `unit`, and at the "
            "metric that `monitor` names, which must not have fallen before."
        )
    if asked.threshold is None:
        return text + (
            f"`threshold` asked for a share of {asked.ratio:.3g} of the bases at last. "
            "Let the schedule end within the steps of this training."
        )
    if scores and all(np.isfinite(values).all() for values in scores.values()):
        name, share = _weakest(scores, scope, costs)
        text += (
            f"The weakest basis (of `{name}`) has {share:.3g} of the score of the "
            f"strongest; `threshold` was {asked.threshold:.3g} at last. "
        )
    least = float(np.min(np.abs(scales)))
    return text + (
        f"The scales began at 1, and the smallest has come to {least:.2g}. Raise "
        "`threshold`; or let the scales fall further, by more epochs, a larger `l1` in "
        "`convert` or a higher learning rate. docs/training.md says what works."
    )


def taken_back(guard) -> str:
    """The same where a `Guard` has taken back all that was masked."""
    return (
        "`L1Thresholding` has taken back all that it had masked, so that `prune` will "
        f"remove nothing: `{guard.monitor}` was worse than {guard.baseline:.4g} by "
        f"more than max_drop={guard.max_drop:g}. Let `threshold` rise from less (see "
        "`keras.optimizers.schedules`), or allow more `patience` or `max_drop`."
    )


def _weakest(scores, scope, costs) -> tuple[str, float]:
    """The layer of the weakest basis, and its score as thresholds count it."""
    if scope == "global":
        costs = costs or dict.fromkeys(scores, 1.0)
        scores = {name: values / costs[name] for name, values in scores.items()}
        most = dict.fromkeys(scores, max(values.max() for values in scores.values()))
    else:
        most = {name: values.max() for name, values in scores.items()}
    shares = {name: v.min() / (most[name] or 1.0) for name, v in scores.items()}
    name = min(shares, key=shares.__getitem__)
    return name, float(shares[name])
