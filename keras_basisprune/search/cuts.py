"""The networks that are cut from one network in a round of a search."""

import functools
import math
import time

from keras_basisprune.plan import Plan
from keras_basisprune.search.cut_key import CutKey
from keras_basisprune.search.cutter import Cut, Cutter
from keras_basisprune.search.folded import Folded
from keras_basisprune.search.judged_cut import judged_cut
from keras_basisprune.search.make_trained import OutOfTime
from keras_basisprune.search.next_share import NextShare
from keras_basisprune.search.round_result import RoundResult
from keras_basisprune.search.trial import Trial, trial_of
from keras_basisprune.surgery import fold

_SHARES = (0.95, 0.85, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)  # predicted for


class Cuts:
    """Cuts one network to several sizes, judges the results, and finds the best.

    Networks are kept while they may be the best; answers are remembered by the folder.

    Args:
        task: A `Task`.
        folder: A `RunFolder`.
        trials: `Trials`, to which those of the cuts are added.
        training: A `Training`, for methods that train.
        network: The network that is cut.
        number: Integer, the round.
        workers: `TrialWorkers` that make cuts, or `None`.

    Attributes:
        network: As given.
        failed: The share of a network that was not good enough after its training; 0 if
            there is none.
    """

    def __init__(self, task, folder, trials, training, network, number, workers=None):
        self.network, self.failed = network, 0.0
        self._task, self._folder, self._trials = task, folder, trials
        self._training, self._number, self._workers = training, number, workers
        if workers is not None:
            workers.begin(number, network)
        self._methods = {method.name: method for method in task.methods}
        prepared = task.prepared if network is task.model else {}
        train, recall = functools.partial(training, number), self._recalled
        given = task.images, task.cut_options, train, prepared, recall
        self._cutter = Cutter(network, *given)
        self._judge = task.judge.in_round(number)
        self._slack = 0.0
        self._measured = 0.0  # seconds that are in no trial yet
        self._asked: dict[CutKey, float] = {}  # scores minus the margin
        # What is kept by those cuts that are good enough as they are, and the score.
        self._usable: dict[CutKey, tuple[float, float]] = {}
        # The newest cut that may be the best, and its folded form.
        self._good: dict[CutKey, tuple[Cut, Folded]] = {}

    @property
    def most_again(self) -> int:
        """The most networks that `fit_again` fits."""
        rows, samples = self._methods.values(), self._cutter.samples
        return 2 * any(samples(row) < samples(row, again=True) for row in rows)

    @property
    def at_once(self) -> int:
        """How many cuts are made at once."""
        return 1 if self._workers is None else self._workers.count

    def begin(self, slack):
        """Begins another search for a network that may lose so much more."""
        self._slack, self._asked = slack, {}

    def score(self, keep, method) -> float:
        """Cuts and judges a network; returns its score minus the margin.

        Args:
            keep: Float, the share to keep.
            method: The name of a `Method`.

        Raises:
            OutOfTime: If there is no time for it.
        """
        return self._score(CutKey(keep, method), self._cut)

    def make_ahead(self, keys):
        """Lets workers make cuts that may be asked for next.

        Args:
            keys: Sequence of pairs of a share and the name of a `Method`.
        """
        new = [
            key
            for key in (CutKey(*pair) for pair in keys)
            if self._is_made_elsewhere(key)
            and not self._folder.knows(self._question(key))
        ]
        self._workers.ask(self._number, new)

    def best(self) -> CutKey | None:
        """Returns the cheapest cut that is good enough, since `begin` was called.

        That is the one of the smallest share, except where costs are measured. With
        equal costs, it is the one with the better score.
        """
        good = [key for key in self._asked if self._asked[key] >= self._enough]
        place = {key: (self._kept(key), -self._asked[key]) for key in good}
        return min(good, key=place.__getitem__, default=None)

    def fit_again(self, best) -> CutKey:
        """Fits the best cut again on all samples, if it was fitted on fewer.

        If the next smaller one would be good enough with what was gained by that, it is
        fitted again too.

        Args:
            best: What `best` returned.

        Returns:
            What is best now.
        """
        if not self._has_fewer(best):
            return best
        try:
            gained = self._score_again(best) - self._asked[best]
            near = {
                key: score
                for key, score in self._asked.items()
                if score < self._enough <= score + gained
                and self._kept(key) < self._kept(best)
                and self._has_fewer(key)
            }
            if near:
                self._score_again(max(near, key=near.__getitem__))
        except OutOfTime:
            pass  # what was found by now has to do
        return self.best() or best

    def trial(self, key) -> Trial:
        """Returns the `Trial` of a cut."""
        return self._trials[self._question(key)]

    def asked(self, key) -> float:
        """Returns the score of a cut, minus the margin."""
        return self._asked[key]

    def plan(self, key) -> Plan:
        """Returns the plan of a cut."""
        answer = self._folder.recall(self._question(key), dict)
        return Plan.from_json(answer["plan"])

    def made(self, key) -> tuple[Cut, Folded]:
        """Returns a cut that was judged, from memory or made again."""
        known = self._good.get(key)
        if known is None:
            cut = self._cut_again(key) if key.again else self._cut(key)
            assert cut is not None, key  # since it was judged
            known = cut, self._judge.folded(cut.network)
        return known

    def result(self, key) -> RoundResult:
        """Returns a cut as the result of the round, without training."""
        cut, folded = self.made(key)
        network = fold(cut.network, batch_norm=False)
        trial = self._trials.place(self._question(key))
        return RoundResult(network, folded, cut.plan, trial)

    def usable(self) -> tuple[CutKey, float] | None:
        """Returns the smallest of all cuts that are good enough, and what it keeps."""
        best = min(self._usable, key=self._usable.__getitem__, default=None)
        return best and (best, self._usable[best][0])

    def guess(self, before) -> NextShare | None:
        """Returns what guesses shares from measured losses, if there are any.

        Args:
            before: Float, the score of the network that is cut.
        """
        if not before > self._enough:
            return None

        def find():
            start = time.perf_counter()
            table = self._cutter.trade_off(self._methods.values(), _SHARES)
            self._measured = time.perf_counter() - start
            return table

        table = self._recalled("predicted losses by share", find)
        return NextShare(table, before, self._enough) if len(table) > 1 else None

    @property
    def _enough(self) -> float:
        return self._task.min_score - self._slack

    def _question(self, key) -> str:
        again = ", on all samples" * key.again
        return f"round {self._number}: keep {key.keep:.6f} by {key.method}{again}"

    def _recalled(self, question, find):
        """Asks the folder what was measured of the network that is cut."""
        return self._folder.recall(f"round {self._number}: {question}", find)

    def _kept(self, key) -> float:
        return self.trial(key).kept

    def _has_fewer(self, key) -> bool:
        """Returns whether a cut was fitted on fewer samples than there are."""
        samples, row = self._cutter.samples, self._methods[key.method]
        return not key.again and samples(row) < samples(row, again=True)

    def _cut(self, key) -> Cut | None:
        return self._cutter.cut(key.keep, self._methods[key.method])

    def _cut_again(self, key) -> Cut:
        row, first = self._methods[key.method], key._replace(again=False)
        plan = self.plan(first)
        network = self._cutter.fit_again(key.keep, row, plan)
        trial = self.trial(first)
        return Cut(plan, network, trial.predicted, trial.to_channels)

    def _score_again(self, key) -> float:
        row = self._methods[key.method]
        few, many = (self._cutter.samples(row, again) for again in (False, True))
        return self._score(key._replace(again=True), self._cut_again, many / few)

    def _score(self, key, make, times=1.0) -> float:
        """Asks what a cut scores; keeps the cut while it may be the best."""
        find = functools.partial(self._judged, key, make, times)
        question, row = self._question(key), self._methods[key.method]
        answer = self._folder.recall(question, find)
        good = self._judge.is_good(answer)
        trial = trial_of(answer, self._number, row, False, good)
        self._trials.record(question, trial)
        self._asked[key] = self._judge.lower_bound(answer)
        if good:
            self._usable[key] = answer["kept"], -self._asked[key]
        if not key.again:
            lasting = self._lasting(row, answer["seconds"])
            self._task.deadline.learn(key.method, lasting)
        return self._asked[key]

    def _judged(self, key, make, times) -> dict:
        """Cuts and judges."""
        row = self._methods[key.method]
        if not self._task.deadline.allows(key.method, self._reserve(), times):
            raise OutOfTime
        if self._is_made_elsewhere(key):
            answer = self._workers.answer(self._number, key)
            self._add_measured(answer["seconds"])
            return answer
        with self._training.timed() as seconds:
            cut = make(key)
        self._add_measured(seconds)
        samples = self._cutter.samples(row, key.again)
        answer, folded = judged_cut(self._judge, cut, seconds, samples)
        if folded is not None and self._judge.is_good(answer, self._slack):
            others = {k: v for k, v in self._good.items() if k.keep == key.keep}
            self._good = {**others, key: (cut, folded)}
        return answer

    def _is_made_elsewhere(self, key) -> bool:
        """Returns whether a worker makes a cut: what needs no training, the first time.

        Networks that are trained are in files of this search, and the few that are
        fitted again are needed here.
        """
        row = self._methods[key.method]
        return self._workers is not None and not key.again and not row.train

    def _add_measured(self, seconds):
        """Adds the time of measuring, which is for this cut and all later ones."""
        if self._measured:
            seconds["measuring"], self._measured = self._measured, 0.0

    def _reserve(self) -> float:
        """Returns the seconds of the training that is to follow, if they are known."""
        follows = any(score >= self._enough for score in self._asked.values())
        seconds = self._training.expected
        return seconds if follows and not math.isnan(seconds) else 0.0

    def _lasting(self, row, seconds) -> float:
        """Returns the seconds that another cut by the same method takes."""
        once = {"measuring"}
        if not row.train_each:
            once.add("training")
        return sum(value for name, value in seconds.items() if name not in once)
