"""The search for the smallest network that is good enough, by bisection."""

import math


def smallest_share(attempt, least, ways, trials=7, lowest=0.01):
    """Finds the smallest share that is good enough, by bisection.

    Bisection is on a logarithmic scale, and starts with the first way. Once a share is
    not good enough in it, the other ways are tried at the same share, and the search
    goes on with the best of all; if that one is good enough, the lower end is `lowest`
    again. This happens once, from the third share on, or earlier where a share can't be
    reached at all. So there are `trials + len(ways) - 1` attempts at most. With one
    way, and scores that never rise as shares fall, the result is within a factor
    `lowest ** -(0.5 ** trials)` of the smallest share that is good enough.

    Args:
        attempt: A function of a share and a way that returns a score; NaN if the share
            can't be reached that way.
        least: Float, the score that is good enough.
        ways: A sequence of ways to reach a share.
        trials: Integer, how many shares are tried.
        lowest: Float in (0, 1), the lower end: all shares that are tried lie above it.

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
