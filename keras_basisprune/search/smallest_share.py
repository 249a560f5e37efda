"""Finds the smallest network that is good enough, by bisection."""

import math

_NEAR = 1.6  # ends that are guessed: how close, in units of what bisection reaches
_PARTS = 4  # guesses are rounded to such parts of the range


def smallest_share(
    attempt, min_score, methods, trials=7, lowest=0.01, guess=None
) -> tuple | None:
    """Finds the smallest share that is good enough, by bisection.

    Bisects on a logarithmic scale, starting with the first method. When a share fails
    with it, the other methods are tried at the same share, and the search continues
    with the best of all; if that one is good enough, the lower end is `lowest` again.
    This happens once, from the third share on, or earlier where a share can't be
    reached at all. So there are `trials + len(methods) - 1` attempts at most. With one
    method, and scores that never rise as shares fall, the result is within a factor
    `lowest ** -(0.5 ** trials)` of the smallest share that is good enough.

    With a `guess`, the range is divided where the limit is expected instead of in the
    middle, and the search ends once its ends are within 1.6 times that factor (as
    logarithms): after four or five shares of seven, if guesses are good. On average,
    what is found is as small. Guesses are rounded to quarters of the range (in
    logarithms), so that one can tell what will be tried next. Other methods are tried
    at the end, if not before.

    Args:
        attempt: A function of a share and a method that returns a score; NaN if the
            method can't reach the share.
        min_score: Float, the score that is good enough.
        methods: A sequence of names of methods.
        trials: Integer, how many shares are tried.
        lowest: Float in (0, 1), the lower end: all shares that are tried lie above it.
        guess: A function of both ends of the range, and a dict of the scores of the
            method by share, that returns a share within. `None` for the middle.

    Returns:
        A pair of share and method, or `None` if no score was good enough.
    """
    low, high, best = math.log(lowest), 0.0, None
    method, others = methods[0], list(methods[1:])
    known, failed = {name: {} for name in methods}, None
    near = _NEAR * -low * 0.5**trials
    for number in range(trials):
        ended = guess is not None and high - low <= near
        if ended:
            if failed is None or not others:
                break
            share = failed
        elif guess is None:
            share = math.exp((low + high) / 2)
        else:
            share = guess(math.exp(low), math.exp(high), known[method])
            part = round(_PARTS * (math.log(share) - low) / (high - low))
            part = min(max(part, 1), _PARTS - 1)
            share = math.exp(low + part / _PARTS * (high - low))
        if share not in known[method]:
            known[method][share] = attempt(share, method)
        score = known[method][share]
        late = ended or number >= 2 or math.isnan(score)
        if not score >= min_score and others and late:
            for other in others:
                known[other][share] = attempt(share, other)
            method = max(known, key=lambda key: _comparable(known[key][share]))
            score, others = known[method][share], []
            if score >= min_score:
                low = math.log(lowest)  # this method may do where the first one failed
        if score >= min_score:
            best, high = (share, method), math.log(share)
        else:
            low, failed = math.log(share), share
    return best


def _comparable(score) -> float:
    return -math.inf if math.isnan(score) else score
