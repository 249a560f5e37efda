"""Judges a cut of a network."""

import math


def judged_cut(judge, cut, seconds, samples):
    """Judges a cut of a network.

    Args:
        judge: A `Judge`.
        cut: A `Cut`; `None` if there is no network of that size.
        seconds: Dict of the time that was spent on it.
        samples: Integer, the training images that it was fitted on, at most.

    Returns:
        What a search remembers of it (a dict that JSON can represent), and its
        `Folded`, which is `None` if there is no network.
    """
    if cut is None:
        return {"seconds": seconds, "score": math.nan}, None
    folded = judge.folded(cut.network)
    answer = {
        **judge(folded, seconds),
        "predicted": cut.predicted,
        "to_channels": cut.to_channels,
        "samples": samples,
        "plan": cut.plan.to_json(),
    }
    return answer, folded
