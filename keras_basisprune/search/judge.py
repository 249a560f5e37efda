"""Measures the cost and the score of networks."""

import functools
import time

from keras_basisprune.measure import cost
from keras_basisprune.search.folded import Folded


class Judge:
    """Judges networks against the original.

    Args:
        original: The original `keras.Model`.
        score: A `Scorer`.
        objective: An `Objective`.
        folder: A `RunFolder`, which remembers the original's cost.
    """

    def __init__(self, original, score, objective, folder):
        self._score, self._objective = score, objective
        counted = cost(original)
        self._params, self._flops = counted.params, counted.flops
        find = functools.partial(objective, original, counted)
        self._whole = folder.recall("cost of the original", find)

    def folded(self, network) -> Folded:
        """Returns a network in the form in which it is judged."""
        return Folded(network, self._score)

    def __call__(self, folded, seconds) -> dict:
        """Judges a network.

        Args:
            folded: The network, a `Folded`.
            seconds: Dict of the time that has been spent on it so far.

        Returns:
            A dict with `"kept"`, `"params"`, `"flops"` (shares of the original's),
            `"score"`, `"error"`, `"bound"` (see `Scorer.compared`) and `"seconds"`
            (those given and `"evaluation"`, folding included).
        """
        start = time.perf_counter()
        counted = cost(folded.small)
        answer = {
            "kept": self._objective(folded.small, counted) / self._whole,
            "params": counted.params / max(self._params, 1),
            "flops": counted.flops / max(self._flops, 1),
            **folded.compared(),
        }
        spent = time.perf_counter() - start
        return {**answer, "seconds": {**seconds, "evaluation": spent}}
