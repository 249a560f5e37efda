"""Finds the smallest network that is good enough, by bisection."""

import math


def smallest_share(attempt, min_score, methods, trials=7, lowest=0.01):
    """Finds the smallest share that is good enough, by bisection.

    Bisects on a logarithmic scale, starting with the first method. When a share fails
    with it, the other methods are tried at the same share, and the search continues
    with the best of all; if that one is good enough, the lower end is `lowest` again.
    This happens once, from the third share on, or earlier where a share can't be
    reached at all. So there are `trials + len(methods) - 1` attempts at most. With one
    method, and scores that never rise as shares fall, the result is within a factor
    `lowest ** -(0.5 ** trials)` of the smallest share that is good enough.

    Args:
        attempt: A function of a share and a method that returns a score; NaN if the
            method can't reach the share.
        min_score: Float, the score that is good enough.
        methods: A sequence of names of methods.
        trials: Integer, how many shares are tried.
        lowest: Float in (0, 1), the lower end: all shares that are tried lie above it.

    Returns:
        A pair of share and method, or `None` if no score was good enough.
    """
    low, high, best = math.log(lowest), 0.0, None
    method, others = methods[0], list(methods[1:])
    for number in range(trials):
        share = math.exp((low + high) / 2)
        score = attempt(share, method)
        if not score >= min_score and others and (number >= 2 or math.isnan(score)):
            scores = {other: attempt(share, other) for other in others}
            scores = {method: score} | scores
            method = max(scores, key=lambda key: _comparable(scores[key]))
            score, others = scores[method], []
            if score >= min_score:
                low = math.log(lowest)  # this method may do where the first one failed
        if score >= min_score:
            best, high = (share, method), math.log(share)
        else:
            low = math.log(share)
    return best


def _comparable(score) -> float:
    return -math.inf if math.isnan(score) else score
