"""Scores cuts while workers make the next ones."""

from keras_basisprune.search.workers.likely_attempts import likely_attempts


class Ahead:
    """Scores cuts of a round, while workers make those that may be asked for next.

    Args:
        cuts: `Cuts`, with workers.
        search: A function of what scores a cut: the search.
        before: Float, the score of the network that is cut.
        enough: Float, the score that is good enough.
    """

    def __init__(self, cuts, search, before, enough):
        self._cuts, self._search, self._known = cuts, search, {}
        # Where half of what may be lost is lost, or twice as much.
        self._outcomes = (before + enough) / 2, 2 * enough - before

    def __call__(self, keep, method) -> float:
        """Returns what `Cuts.score` returns."""
        given = self._search, self._known, self._outcomes, self._cuts.at_once
        self._cuts.make_ahead(likely_attempts(*given))
        self._known[keep, method] = self._cuts.score(keep, method)
        return self._known[keep, method]
