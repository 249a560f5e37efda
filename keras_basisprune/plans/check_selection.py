"""Checks of arguments that both selections have."""

import numpy as np

from keras_basisprune.measure import LatencyTable
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.shown import shown


def check_selection(keep, threshold, scope) -> tuple[float | None, float | None]:
    """Checks `keep`, `threshold` and `scope`; returns the first two as floats."""
    if (keep is None) == (threshold is None):
        raise ValueError(
            "Expected exactly one of `keep` and `threshold`. Received: "
            f"keep={shown(keep)}, threshold={shown(threshold)}. Pass one of them, for "
            "example `keep=0.5`."
        )
    remedy = "'local' judges each layer by itself."
    check_choice("scope", scope, ("local", "global"), remedy)
    if keep is not None:
        expected = "a float in (0, 1], the share of the cost to keep"
        remedy = "0.25 removes three quarters."
        return check_number("keep", keep, "(0, 1]", expected, remedy), None
    remedy = "1 removes all but the highest scores."
    expected = "a finite number >= 0"
    return None, check_number("threshold", threshold, "[0, inf)", expected, remedy)


def check_cost(cost, unit):
    """Checks `cost`: `"flops"`, `"params"`, `unit` (such as `"bases"`), or a table."""
    if not isinstance(cost, LatencyTable):
        remedy = "Or pass a `LatencyTable`, for milliseconds on this machine."
        check_choice("cost", cost, ("flops", "params", unit), remedy)


def check_channel_scores(scores, count) -> np.ndarray:
    """Returns scores of groups of channels as a float64 array of shape `(count,)`."""
    scores = check_numeric("scores", scores).astype(np.float64)
    if scores.shape != (count,) or np.isnan(scores).any():
        raise ValueError(
            f"Expected `scores` to be an array of shape ({count},), a number for "
            f"each of `channel_groups(model)`. Received: shape {scores.shape}"
            f"{', with NaN' if np.isnan(scores).any() else ''}. Score this model."
        )
    return scores
