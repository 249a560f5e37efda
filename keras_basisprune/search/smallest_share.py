"""The search for the smallest network that is good enough, by bisection."""

import math


def smallest_share(attempt, least, ways, trials=7, lowest=0.01):
    """Looks for the smallest share that is good enough, in any of several ways.

    Shares are halved on a logarithmic scale. It begins in the first way. Where a share
    is too small for it (but not at the first two shares, unless it can't be gone at
    all), the others are tried at the same share, once; the search goes on in the best
    one, below all shares again if it is good enough there. So it takes
    `trials + len(ways) - 1` attempts at most. With one way, if less share is never
    better, the result is within a factor `lowest ** -(0.5 ** trials)` of the smallest
    share that is good enough, or of `lowest`.

    Args:
        attempt: A function of a share and a way that returns a score; NaN where that
            can't be done.
        least: Float, the score that is good enough.
        ways: A sequence of ways to reach a share.
        trials: Integer, shares to try.
        lowest: Float in (0, 1), below all shares that are tried.

    Returns:
        A pair of share and way, or `None` if none was good enough.
    """
    low, high, best = math.log(lowest), 0.0, None
    way, others = ways[0], list(ways[1:])
    for number in range(trials):
        share = math.exp((low + high) / 2)
        score = attempt(share, way)
        if not score >= least and others and (number >= 2 or math.isnan(score)):
            scores = {way: score} | {other: attempt(share, other) for other in others}
            way = max(scores, key=lambda key: _comparable(scores[key]))
            score, others = scores[way], []
            if score >= least:
                low = math.log(lowest)  # where the first way failed, this may not
        if score >= least:
            best, high = (share, way), math.log(share)
        else:
            low = math.log(share)
    return best


def _comparable(score) -> float:
    return -math.inf if math.isnan(score) else score
