"""Measures the cost and the score of networks."""

import copy
import functools
import math
import time
import warnings

from keras_basisprune.measure import cost
from keras_basisprune.search.folded import Folded

_ALMOST = 0.99  # of the budget


class Judge:
    """Judges networks against the original.

    Args:
        original: The original `keras.Model`.
        score: A `Scorer`.
        objective: An `Objective`.
        folder: A `RunFolder`, which remembers the original's cost.
        shipped: A `Shipped`: networks that are good enough by Keras are judged again
            as the files that will ship. `None` to judge by Keras alone.
        least: Float, the score that is good enough.
        margin: By how many standard errors a score has to be better than that.

    Attributes:
        sign: 1 if more of the score is better, -1 if less is.
        margin: As given.
    """

    def __init__(
        self, original, score, objective, folder, shipped=None, least=0.0, margin=0.0
    ):
        self._score, self._objective = score, objective
        self._shipped, self._least = shipped, least
        self.sign, self.margin = score.sign, margin
        self._budget = max(0.0, score.sign * score.baseline - least)
        counted = cost(original)
        self._params, self._flops = counted.params, counted.flops
        find = functools.partial(objective, original, counted)
        self._whole = folder.recall("cost of the original", find)

    def in_round(self, number) -> "Judge":
        """Returns the judge of a round, whose margin is `sqrt(number)` times as large.

        Each round starts from a network that was found with some luck, and looks for
        luck again among the same samples, so that chances add up as in a random walk.

        Args:
            number: Integer from 1.
        """
        found = copy.copy(self)
        found.margin = self.margin * math.sqrt(number)
        return found

    def folded(self, network, quantized=None) -> Folded:
        """Returns a network in the form in which it is judged.

        Args:
            network: The `keras.Model`, converted or not.
            quantized: The same, quantization-aware, if that will ship.
        """
        return Folded(network, self._score, self._shipped, quantized)

    def lower_bound(self, answer) -> float:
        """Returns a score minus the margin, times `sign`, so that more is better.

        The margin counts one more answer as changed than was seen, since among few
        images none may change by chance. A network that answers as the original does
        is good enough in any case. There is no margin if the standard error is not
        known (NaN).

        Args:
            answer: A dict of `"score"` and maybe `"error"`, as `Scorer.compared`
                returns them.
        """
        score, error = self.sign * answer["score"], answer.get("error", math.nan)
        if math.isnan(error):
            return score
        unseen = min(self.margin * self._score.resolution, _ALMOST * self._budget)
        return score - math.hypot(self.margin * error, unseen)

    def is_good(self, answer, slack=0.0) -> bool:
        """Returns whether a score is good enough, by the margin if there is one.

        Args:
            answer: As in `lower_bound`.
            slack: Float, how much less is good enough too.
        """
        return self.lower_bound(answer) >= self._least - slack

    def __call__(self, folded, seconds) -> dict:
        """Judges a network.

        Args:
            folded: The network, a `Folded`.
            seconds: Dict of the time that has been spent on it so far.

        Returns:
            A dict with `"kept"`, `"params"`, `"flops"` (shares of the original's),
            `"score"`, `"error"`, `"bound"` (see `Scorer.compared`) and `"seconds"`
            (those given and `"evaluation"`, folding included). If it was judged as the
            file that will ship, the score is that of the file, `"judged"` the form,
            and `"keras_score"` its score by Keras.
        """
        start = time.perf_counter()
        counted = cost(folded.small)
        answer = {
            "kept": self._objective(folded.to_ship, counted) / self._whole,
            "params": counted.params / max(self._params, 1),
            "flops": counted.flops / max(self._flops, 1),
            **folded.compared(),
        }
        if self._shipped is not None and self.is_good(answer):
            answer |= {"keras_score": answer["score"], "judged": self._shipped.form}
            answer |= self._in_file(folded)
        spent = time.perf_counter() - start
        return {**answer, "seconds": {**seconds, "evaluation": spent}}

    def _in_file(self, folded) -> dict:
        """Returns the score of the file; NaN if there is none, with a warning."""
        try:
            return folded.compared_in_file()
        except (RuntimeError, ValueError) as error:
            form = self._shipped.form
            warnings.warn(
                "Expected networks that can ship. Received: one of which LiteRT can "
                f"make no {form} file, or not run it: {str(error)[:300]} It is not "
                "used.",
                stacklevel=2,
            )
            return dict.fromkeys(("score", "error", "bound"), math.nan)
