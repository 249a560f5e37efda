"""The rounds of `compress`: cut, train, cut again."""

import contextlib
import functools
import math
import time

from keras_basisprune.plan import Plan
from keras_basisprune.search.cutter import Cut, Cutter
from keras_basisprune.search.folded import Folded
from keras_basisprune.search.lower_bound import lower_bound
from keras_basisprune.search.make_trained import OutOfTime, Shortened, make_trained
from keras_basisprune.search.next_share import NextShare
from keras_basisprune.search.progress import Progress
from keras_basisprune.search.round_result import RoundResult
from keras_basisprune.search.smallest_share import smallest_share
from keras_basisprune.search.training import Training
from keras_basisprune.search.trial import Trial, trial_of
from keras_basisprune.search.trials import Trials
from keras_basisprune.surgery import fold

# How much more than the budget may be lost before training, in units of the budget,
# since training recovers some of it. Where it doesn't, the next one is tried.
_SLACK = (10, 3, 1, 0)
# A network is trained again if it lacks less than this part of what training gained.
_CLOSE = 0.25
_GAIN = 0.95  # a round that keeps more than this share is the last one
# Numbers of shares that are tried in the first round and in the others: without
# training, and before training, when the share need not be exact.
_TRIALS = {False: (7, 5), True: (5, 4)}
_LOWEST = (0.01, 0.1)
_SHARES = (0.95, 0.85, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)  # predicted for


class Rounds:
    """Looks for the smallest network that is good enough.

    Each round cuts the network of the round before (the first round, the original) to
    the share that `smallest_share` finds, with some slack if it is trained afterwards.
    If it is good enough then, the next round cuts it further; if not, there is another
    attempt with less slack.

    Args:
        task: A `Task`.
        folder: A `RunFolder`.

    Attributes:
        results: List of `RoundResult`, one per round.
        history: The logs of training, a list of values per name.
        stopped: Why the search ended early: `"time"`, `"interrupt"`, or `""`.
    """

    def __init__(self, task, folder):
        self._task, self._folder = task, folder
        self.results: list[RoundResult] = []
        self.history: dict[str, list[float]] = {}
        self.stopped = ""
        self._cutter, self._enough, self._failed = None, 0.0, 0.0
        self._measured = 0.0  # seconds that are in no trial yet
        # Scores of this round, minus the margin.
        self._asked: dict[tuple[float, str], float] = {}
        # What is kept by those cuts of this round that are good enough as they are.
        self._usable: dict[tuple[float, str], float] = {}
        # The newest cut that may be the best, and its folded form.
        self._good: dict[tuple[float, str], tuple[Cut, Folded]] = {}
        self._methods = {method.name: method for method in task.methods}
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
            before = self.trials[self.results[-1].trial].kept if self.results else 1.0
            kept = self.trials[found.trial].kept
            if not kept < before:
                break
            self.results.append(found)
            network, self._usable = found.network, {}
            if kept > _GAIN * before or not self._task.recovery:
                break  # without training, a further round has no score to spend

    def _use_what_was_found(self):
        """Adds the smallest cut that is good enough without training, if it helps."""
        best = min(self._usable, key=self._usable.__getitem__, default=None)
        before = self.trials[self.results[-1].trial].kept if self.results else 1.0
        if best is not None and self._usable[best] < before:
            self.results.append(self._untrained(len(self.results) + 1, best))
            self._usable = {}

    def _slacks(self) -> list[float]:
        if not self._task.recovery:
            return [0.0]
        unit = max(self._task.max_drop, self._task.least_unit)
        return [unit * slack for slack in _SLACK]

    def _round(self, network, number, slack, retry) -> RoundResult | None:
        """Cuts as far as the slack allows and trains; `None` if that isn't enough."""
        if self._cutter is None or self._cutter.model is not network:
            self._begin(network, number)
        later, recovery = number > 1, self._task.recovery
        trials, methods = _TRIALS[slack > 0][later], tuple(self._methods)
        self._progress.begin(number, retry, trials + len(methods) - 1)
        self._asked, self._enough = {}, self._task.min_score - slack
        attempt = functools.partial(self._score_of_cut, number)
        lowest = max(_LOWEST[later], self._failed)
        if math.sqrt(lowest) > _GAIN:
            return None  # any share above this gains too little
        with contextlib.suppress(OutOfTime):  # then what was found by now has to do
            given = trials, lowest, self._guess(number)
            smallest_share(attempt, self._enough, methods, *given)
        best = self._cheapest_good(number)
        if best is None:
            return None
        if recovery:
            found = self._trained(number, best)
            if found and self._is_close(found, best):
                found = self._trained(number, best, found) or found
            if found and self.trials[found.trial].good_enough:
                return found
            self._failed = best[0]
        if not self._trials[_question(number, *best)].good_enough:
            return None
        return self._untrained(number, best)

    def _untrained(self, number, key) -> RoundResult:
        """Returns a cut that was judged, as a result."""
        cut, folded = self._cut(*key)
        network = fold(cut.network, batch_norm=False)
        trial = self._trials.place(_question(number, *key))
        return RoundResult(network, folded, cut.plan, trial)

    def _begin(self, network, number):
        """Begins to cut another network."""
        task, train = self._task, functools.partial(self._training, number)
        prepared = task.prepared if network is task.model else {}
        given = task.cut_options, train, prepared
        recall = functools.partial(self._recalled, number)
        self._cutter = Cutter(network, task.images, *given, recall)
        self._failed, self._good, self._usable = 0.0, {}, {}

    def _guess(self, number) -> NextShare | None:
        """Returns what guesses shares from measured losses, if there are any."""
        task = self._task
        before = task.min_score + task.max_drop
        if self.results:
            before = task.sign * self.trials[self.results[-1].trial].score
        if not before > self._enough:
            return None

        def find():
            start = time.perf_counter()
            table = self._cutter.trade_off(self._methods.values(), _SHARES)
            self._measured = time.perf_counter() - start
            return table

        table = self._folder.recall(f"round {number}: predicted losses by share", find)
        return NextShare(table, before, self._enough) if len(table) > 1 else None

    def _recalled(self, number, question, find):
        """Asks the folder what was measured of the network that a round cuts."""
        return self._folder.recall(f"round {number}: {question}", find)

    def _cheapest_good(self, number) -> tuple[float, str] | None:
        """Returns share and method of this round's cheapest good-enough network.

        That is the smallest share, except where costs are measured; `None` if there is
        no such network.
        """
        good = [key for key in self._asked if self._asked[key] >= self._enough]
        kept = {key: self._trials[_question(number, *key)].kept for key in good}
        return min(good, key=kept.__getitem__, default=None)

    def _score_of_cut(self, number, keep, method) -> float:
        """Returns the score of a cut; keeps the cut while it may be the best."""

        def find():
            if not self._task.deadline.allows(method, self._reserve()):
                raise OutOfTime
            with self._training.timed() as seconds:
                cut = self._cutter.cut(keep, self._methods[method])
            if self._measured:  # for this cut and all later ones
                seconds["measuring"], self._measured = self._measured, 0.0
            if cut is None:
                return {"seconds": seconds, "score": math.nan}
            folded = self._task.judge.folded(cut.network)
            answer = self._task.judge(folded, seconds)
            if self._lower_bound(**answer) >= self._enough:
                others = {k: v for k, v in self._good.items() if k[0] == keep}
                self._good = {**others, (keep, method): (cut, folded)}
            told = {"predicted": cut.predicted, "to_channels": cut.to_channels}
            return {**answer, **told, "plan": cut.plan.to_json()}

        question = _question(number, keep, method)
        answer = self._folder.recall(question, find)
        self._record(question, answer, number, method, trained=False)
        self._asked[keep, method] = self._lower_bound(**answer)
        if self._trials[question].good_enough:
            self._usable[keep, method] = answer["kept"]
        self._task.deadline.learn(method, self._lasting(method, answer["seconds"]))
        return self._asked[keep, method]

    def _reserve(self) -> float:
        """Returns the seconds of the training that is to follow, if they are known."""
        follows = any(score >= self._enough for score in self._asked.values())
        seconds = self._progress.expected_training
        return seconds if follows and not math.isnan(seconds) else 0.0

    def _lasting(self, method, seconds) -> float:
        """Returns the seconds that another cut by the same method takes."""
        once = {"measuring"}
        if not self._methods[method].train_each:
            once.add("training")
        return sum(value for name, value in seconds.items() if name not in once)

    def _lower_bound(self, score, error=math.nan, **_) -> float:
        """Returns a score minus the margin, so that more is better."""
        return lower_bound(self._task, score, error)

    def _cut(self, keep, method) -> tuple[Cut, Folded]:
        """Returns a cut that was judged, from memory or made again."""
        known = self._good.get((keep, method))
        if known is None:
            cut = self._cutter.cut(keep, self._methods[method])
            known = cut, self._task.judge.folded(cut.network)
        return known

    def _is_close(self, found, best) -> bool:
        """Returns whether a network is so close that training once more is worth it."""
        trial = self.trials[found.trial]
        score = self._lower_bound(trial.score, trial.error)
        gained, missing = score - self._asked[best], self._task.min_score - score
        return 0 < missing <= _CLOSE * gained and self._task.recovery.weights == "all"

    def _trained(self, number, best, before=None) -> RoundResult | None:
        """Trains the network of a trial, or the result `before` once more.

        Returns `None` if no time is left. A training that was shortened for lack of
        time is not remembered: with more time, it is done as a whole.
        """
        (keep, method) = best
        name = f"round_{number}_{keep:.4f}_{method}{'_again' * bool(before)}"
        network = functools.partial(self._network_to_train, best, before)
        past = sum(trial.trained for trial in self.trials)
        given = self._task, self._folder, self._progress
        make = functools.partial(make_trained, *given, name, network, number, past)
        recall, question = self._folder.recall, f"{name} trained"
        try:
            network = self._folder.recall_model(name, make, self._task.model)
            made = recall(f"{name} training", dict)
        except OutOfTime:
            return None
        except Shortened as short:
            network, made = short.args
            recall = _find
        for key, values in made["history"].items():
            self.history.setdefault(key, []).extend(values)
        folded = self._task.judge.folded(network)
        seconds = {"training": made["seconds"]}
        judged = functools.partial(self._task.judge, folded, seconds)
        answer = recall(question, judged)
        of_cut = self._folder.recall(_question(number, *best), dict)
        answer = {**answer, "to_channels": of_cut["to_channels"]}
        self._record(question, answer, number, method, trained=True)
        plan = Plan.from_json(of_cut["plan"])
        return RoundResult(network, folded, plan, self._trials.place(question))

    def _network_to_train(self, best, before):
        """Returns the network of a trial, or that of the result `before`."""
        return before.network if before else self._cut(*best)[0].network

    def _record(self, question, answer, number, method, trained):
        """Adds a trial to the list and shows it."""
        good = self._lower_bound(**answer) >= self._task.min_score
        row = self._methods[method]
        self._trials.record(question, trial_of(answer, number, row, trained, good))


def _find(question, find):
    """Answers a question without remembering the answer."""
    return find()


def _question(number, keep, method) -> str:
    return f"round {number}: keep {keep:.6f} by {method}"
