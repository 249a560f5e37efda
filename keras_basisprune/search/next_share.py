"""Guesses the share at which a budget is spent, from predicted losses."""

import math

import numpy as np

_RATIO = 0.25  # of a lost score to the predicted loss, before anything was tried
_LEAST = 0.125  # smaller losses, in shares of the budget, say no more than this one
_BEYOND = 0.15  # how far a guess goes beyond the edge, to have it on both sides
_ROOM = 0.1  # of the range that is left, to each side, if that is not more than
_STEP = 0.05  # this, in logarithms
_MOST = 3  # guesses on one side of the limit, before the range is halved


class NextShare:
    """Guesses the share at which a score falls to a limit.

    What a network loses of its score is taken for a power of the loss that is predicted
    for its share (`Sensitivity.predicted`): of the first power at first, and then of
    the one that fits what was tried on both sides of the limit. That the prediction is
    right in size is not needed.

    Args:
        table: A sequence of pairs of a share and the loss that is predicted for it, two
            at least.
        before: Float, the score of the network that is cut.
        least: Float, the limit, less than `before`.
    """

    def __init__(self, table, before, least):
        shares, losses = np.array(sorted(table), float).T
        self._shares = np.log(shares)
        losses = np.log(np.maximum(losses, 1e-9))[::-1]
        steps = 1e-9 * np.arange(len(losses))  # so that they differ
        self._losses = (np.maximum.accumulate(losses) + steps)[::-1]
        self._before, self._budget = before, before - least

    def __call__(self, low, high, tried) -> float:
        """Returns a share to try.

        Args:
            low: Float, the lower end of the range that is left.
            high: Float, the upper end.
            tried: Dict of the scores at other shares, NaN where there is none.

        Returns:
            A float between the ends, and not close to them.
        """
        low, high = math.log(low), math.log(high)
        guess = self._guess(tried, (low + high) / 2)
        room = min(_ROOM * (high - low), _STEP)
        return math.exp(min(max(guess, low + room), high - room))

    def _guess(self, tried, middle) -> float:
        """Returns the logarithm of the share at the limit, whatever range is left."""
        wanted, good, bad = math.log(self._budget), [], []
        for share, score in tried.items():
            lost = max(self._before - score, _LEAST * self._budget)
            if not math.isnan(score):
                point = self._loss(share), math.log(lost)
                (bad if point[1] > wanted else good).append(point)
        if good and bad and max(good)[0] < min(bad)[0]:
            (near, less), (far, more) = max(good), min(bad)
            part = (wanted - less) / (more - less)
            return self._share(near + min(max(part, 0.25), 0.75) * (far - near))
        if len(tried) >= _MOST:
            return middle
        if good:
            loss, lost = max(good)
            return self._share(loss + wanted - lost + _BEYOND)
        if bad:
            loss, lost = min(bad)
            return self._share(loss + wanted - lost - _BEYOND)
        return self._share(wanted - math.log(_RATIO))

    def _loss(self, share) -> float:
        return _along(math.log(share), self._shares, self._losses)

    def _share(self, loss) -> float:
        return _along(loss, self._losses[::-1], self._shares[::-1])


def _along(place, places, values) -> float:
    """Interpolates, and goes on in a straight line at both ends."""
    number = int(np.clip(np.searchsorted(places, place), 1, len(places) - 1))
    (x, y), (u, v) = ((places[n], values[n]) for n in (number - 1, number))
    return float(y + (place - x) * (v - y) / (u - x))
