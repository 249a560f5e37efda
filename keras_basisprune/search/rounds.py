"""The rounds of `compress`: cut, train, cut again."""

import contextlib
import functools
import math

from keras_basisprune.graph.is_quantization_aware import is_quantization_aware
from keras_basisprune.search.cuts import Cuts
from keras_basisprune.search.make_quantized import make_quantized
from keras_basisprune.search.make_trained import OutOfTime, Shortened, make_trained
from keras_basisprune.search.progress import Progress
from keras_basisprune.search.quantized_epochs import quantized_epochs
from keras_basisprune.search.round_result import RoundResult
from keras_basisprune.search.smallest_share import smallest_share
from keras_basisprune.search.training import Training
from keras_basisprune.search.trial import Trial, trial_of
from keras_basisprune.search.trials import Trials
from keras_basisprune.search.workers.ahead import Ahead
from keras_basisprune.surgery import fold

# How much more than the budget may be lost before training, in units of the budget,
# since training recovers some of it. Where it doesn't, the next one is tried.
_SLACK = (10, 3, 1, 0, 0)
# A network is trained again if it lacks less than this part of what training gained.
_CLOSE = 0.25
_GAIN = 0.95  # a round that keeps more than this share is the last one
# Numbers of shares that are tried in the first round and in the others: without
# training, and before training, when the share need not be exact.
_TRIALS = {False: (7, 5), True: (5, 4)}
_LOWEST = (0.01, 0.1)


class Rounds:
    """Looks for the smallest network that is good enough.

    Each round cuts the network of the round before (the first round, the original) to
    the share that `smallest_share` finds, with some slack if it is trained afterwards.
    If it is good enough then, the next round cuts it further; if not, there is another
    attempt with less slack. A network that was good enough before training and is not
    afterwards counts only if there is no other in the end.

    Args:
        task: A `Task`.
        folder: A `RunFolder`.
        workers: `TrialWorkers`, which make several cuts at once; `None` to make one
            after the other here.

    Attributes:
        results: List of `RoundResult`, one per round.
        history: The logs of training, a list of values per name.
        stopped: Why the search ended early: `"time"`, `"interrupt"`, or `""`.
    """

    def __init__(self, task, folder, workers=None):
        self._task, self._folder, self._workers = task, folder, workers
        self.results: list[RoundResult] = []
        self.history: dict[str, list[float]] = {}
        self.stopped = ""
        self._cuts: Cuts | None = None  # of the network that is being cut
        self._untrained: RoundResult | None = None  # the newest that was good enough
        self._progress = Progress(task)
        self._trials = Trials(task.callbacks, self._progress)
        self._training = Training(task, folder, self._progress)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All networks that were tried."""
        return self._trials.all()

    def run(self):
        """Runs all rounds, or those for which there is time.

        Raises:
            KeyboardInterrupt: If the search is interrupted before any network is good
                enough.
        """
        try:
            self._run()
            if self._task.deadline.reached:
                self.stopped = "time"
                self._use_what_was_found()
        except KeyboardInterrupt:
            self._use_what_was_found()
            if not self.results:
                raise
            self.stopped = "interrupt"
        finally:
            self._progress.close()
            self._trials.close()

    def _run(self):
        slacks, network, retry = self._slacks(), self._task.model, False
        while slacks and len(self.results) < self._task.rounds:
            found = self._round(network, len(self.results) + 1, slacks[0], retry)
            retry = found is None
            if retry:
                slacks.pop(0)
                if self._task.deadline.left() <= 0:
                    break
                continue
            before, kept = self._kept_so_far(), self.trials[found.trial].kept
            if not kept < before:
                break
            self.results.append(found)
            network, self._cuts = found.network, None
            if kept > _GAIN * before or not self._task.recovery:
                break  # without training, a further round has no score to spend
        if not self.results and self._untrained and not self._task.deadline.reached:
            self.results.append(self._untrained)  # training only harms, it seems

    def _kept_so_far(self) -> float:
        return self.trials[self.results[-1].trial].kept if self.results else 1.0

    def _use_what_was_found(self):
        """Adds the smallest cut that is good enough without training, if it helps."""
        best = self._cuts and self._cuts.usable()
        if best and best[1] < self._kept_so_far():
            self.results.append(self._cuts.result(best[0]))
            self._cuts = None

    def _slacks(self) -> list[float]:
        if not self._task.recovery:
            return [0.0]
        unit = max(self._task.max_drop, self._task.least_unit)
        return [unit * slack for slack in _SLACK]

    def _round(self, network, number, slack, retry) -> RoundResult | None:
        """Cuts as far as the slack allows and trains; `None` if that isn't enough."""
        task = self._task
        if self._cuts is None:
            given = self._trials, self._training, network, number, self._workers
            self._cuts = Cuts(task, self._folder, *given)
        cuts, later = self._cuts, number > 1
        trials, methods = _TRIALS[slack > 0][later], [row.name for row in task.methods]
        most = trials + len(methods) - 1 + cuts.most_again
        self._progress.begin(number, retry, most)
        cuts.begin(slack)
        lowest = max(_LOWEST[later], cuts.failed)
        if math.sqrt(lowest) > _GAIN:
            return None  # any share above this gains too little
        enough = task.min_score - slack
        with contextlib.suppress(OutOfTime):  # then what was found by now has to do
            before = self._score_so_far()
            given = enough, methods, trials, lowest, cuts.guess(before)
            find = functools.partial(_smallest, given)
            find(Ahead(cuts, find, before, enough) if self._workers else cuts.score)
        best = cuts.best()
        if best is None:
            return None
        best = cuts.fit_again(best)
        found = None
        if task.recovery:
            found = self._trained(number, best)
            if found and self._is_close(found, best):
                found = self._trained(number, best, found) or found
            if found and self.trials[found.trial].good_enough:
                return found
            cuts.failed = best.keep
        good = cuts.result(best) if cuts.trial(best).good_enough else None
        if not found:
            return good
        # Good before training and not after it was good by chance, most likely.
        self._untrained = good
        return None

    def _score_so_far(self) -> float:
        """Returns the score of the network that is cut, so that more is better."""
        task = self._task
        if self.results:
            return task.sign * self.trials[self.results[-1].trial].score
        return task.min_score + task.max_drop

    def _is_close(self, found, best) -> bool:
        """Returns whether a network is so close that training once more is worth it."""
        trial = self.trials[found.trial]
        answer = {"score": trial.score, "error": trial.error}
        score = self._task.judge.in_round(trial.round).lower_bound(answer)
        gained, missing = score - self._cuts.asked(best), self._task.min_score - score
        return 0 < missing <= _CLOSE * gained and self._task.recovery.weights == "all"

    def _trained(self, number, best, before=None) -> RoundResult | None:
        """Trains the network of a trial, or the result `before` once more.

        Returns `None` if no time is left. A training that was shortened for lack of
        time is not remembered: with more time, it is done as a whole.
        """
        cuts, task = self._cuts, self._task
        again = "_refitted" * best.again + "_again" * bool(before)
        name = f"round_{number}_{best.keep:.4f}_{best.method}{again}"
        wanted = task.recovery.epochs
        past = sum(trial.trained for trial in self.trials)
        past *= wanted + quantized_epochs(task.recovery)

        def network():
            return before.network if before else cuts.made(best)[0].network

        try:
            trained, *told = self._made(name, make_trained, network, number, past)
        except OutOfTime:
            return None
        judge = task.judge.in_round(number)
        folded, told = judge.folded(trained), [told]
        if task.recovery.quantize:
            given = f"{name}_quantized", make_quantized, trained, number, past + wanted
            quantized, *more = self._made(*given)
            plain, told = fold(quantized), [*told, more]
            folded = judge.folded(
                plain, quantized if is_quantization_aware(quantized) else None
            )
        for made, _ in told:
            for key, values in made["history"].items():
                self.history.setdefault(key, []).extend(values)
        seconds = {"training": sum(made["seconds"] for made, _ in told)}
        recall = self._folder.recall if all(whole for _, whole in told) else _find
        question = f"{name} trained"
        answer = recall(question, functools.partial(judge, folded, seconds))
        row = next(row for row in task.methods if row.name == best.method)
        answer = {**answer, "to_channels": cuts.trial(best).to_channels}
        good = judge.is_good(answer)
        self._trials.record(question, trial_of(answer, number, row, True, good))
        place = self._trials.place(question)
        return RoundResult(trained, folded, cuts.plan(best), place)

    def _made(self, name, make, *given) -> tuple:
        """Trains a network, or loads the trained one.

        Returns the network, a dict of history and seconds, and whether it was trained
        for all epochs.
        """
        known = self._task, self._folder, self._progress, name
        try:
            network = self._folder.recall_model(
                name, functools.partial(make, *known, *given), self._task.model
            )
        except Shortened as short:
            return *short.args, False
        return network, self._folder.recall(f"{name} training", dict), True


def _smallest(given, attempt):
    """Looks for the smallest share that is good enough; `given` as there."""
    return smallest_share(attempt, *given)


def _find(question, find):
    """Answers a question without remembering the answer."""
    return find()
