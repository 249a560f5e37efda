"""What a search shows of itself while it runs."""

import math
import os
import sys
import time

import keras
from tqdm.auto import tqdm

_NAMES = {"flops": "FLOPs", "params": "parameters", "latency": "milliseconds"}
_LINE = "{desc} {n_fmt}/{total_fmt} {bar:6}{postfix}"
_PASSES = 3  # of a network over an image that is trained on: forth, back, and update


class Progress:
    """One line on the standard error stream, and above it, once, what it says.

    The time that is left is that of the round: of the cuts that may follow, by those
    before, and of the training, by epochs before (until there are any, by what looking
    at the validation images takes). What is known from an interrupted search counts
    with the time that it took then.

    Args:
        task: A `Task`.
    """

    def __init__(self, task):
        self._task = task
        self._bar = None
        self._metric = "accuracy" if task.validation[1] is not None else "agreement"
        self._cuts_left, self._cuts = 0, []  # seconds of each
        self._training = None  # seconds, if known or guessed
        self._guessed = True
        self._trained_each = {m.name for m in task.methods if m.train_each}
        if task.verbose:
            tqdm.write(self._legend(), file=sys.stderr)

    def _legend(self) -> str:
        task, images = self._task, len(self._task.validation[0])
        what = "Networks of several sizes are cut; the smallest good one is kept."
        if task.recovery:
            what = (
                f"Each round (up to {task.rounds}) cuts networks of several sizes and "
                "trains the best one.\nIf that is not good enough, a retry cuts less."
            )
        name = _NAMES.get(task.objective, task.objective)
        training = ", its training included" if task.recovery else ""
        return (
            f"{what}\n  removed   of the {name}\n"
            f"  {self._metric:<9} on the {images:,} validation images; in brackets, "
            "what others show\n            at least, with 95 % confidence\n"
            f"  left      time of this round, about{training}"
        )

    def begin(self, number, retry, cuts):
        """A round begins, or another attempt at it.

        Args:
            number: Integer, the round.
            retry: Whether it is another attempt, which cuts less.
            cuts: Integer, the most networks that will be cut.
        """
        self._cuts_left, self._cuts = cuts, self._cuts[-1:]
        total = cuts + bool(self._task.recovery)
        name = f"Round {number}{', retry' if retry else ''}"
        if self._bar is None:
            quiet = not self._task.verbose
            self._bar = tqdm(
                None, name, total, disable=quiet, bar_format=_LINE, **_size()
            )
            return
        self._bar.set_description_str(name, refresh=False)
        self._say("cutting", refresh=False)
        self._bar.reset(total)

    def show(self, trial):
        """Shows the figures of a network that was judged.

        Args:
            trial: A `Trial`.
        """
        seconds = dict(trial.seconds)
        if trial.trained:
            self._training, self._guessed = seconds["training"], False
        else:
            self._cuts_left = max(self._cuts_left - 1, 0)
            if trial.method not in self._trained_each:  # which is trained only once
                seconds.pop("training", None)
            self._cuts.append(sum(seconds.values()))
            self._guess(seconds.get("evaluation", math.nan))
        self._bar.total = max(self._bar.total or 0, self._bar.n + 1)
        self._bar.update()
        self._say(self._figures(trial), trained=trial.trained)

    def prepare(self, method):
        """A `Method` trains a network, which is cut afterwards."""
        self._say(f"training by {method.name}")

    def train(self) -> list:
        """Training begins.

        Returns:
            A list of Keras callbacks, which show its epochs.
        """
        self._cuts_left, start = 0, time.perf_counter()
        epochs, done = self._task.recovery.epochs, []
        self._say("training")

        def ended(*_):
            done.append(time.perf_counter() - start)
            left = done[-1] / len(done) * max(epochs - len(done), 0)
            self._say(f"training, epoch {len(done)}/{epochs}", left)

        return [keras.callbacks.LambdaCallback(on_epoch_end=ended)]

    def close(self):
        """The search is over."""
        if self._bar is not None:
            self._bar.close()

    def _guess(self, evaluation):
        """Seconds of the training before the first one, by a look at all images."""
        task = self._task
        if not task.recovery or not self._guessed or math.isnan(evaluation):
            return
        images = len(task.train[0]) / len(task.validation[0])
        passes = task.recovery.epochs * (_PASSES + bool(task.distill))
        self._training = evaluation * images * passes

    def _figures(self, trial) -> str:
        if math.isnan(trial.score):
            return "there is no network of this size"
        least = max(self._task.least + self._task.max_drop - trial.bound, 0.0)
        return (
            f"{1 - trial.kept:.1%} removed, {self._metric} {trial.score:.4f} "
            f"({least:.4f})"
        )

    def _say(self, text, left=None, trained=False, refresh=True):
        if left is None and not trained:
            left = self._cuts_left * _mean(self._cuts)
            if self._task.recovery:
                left += math.nan if self._training is None else self._training
        if left is not None and not math.isnan(left):
            text = f"{text}, {tqdm.format_interval(left)} left"
        self._bar.set_postfix_str(text, refresh=refresh)


def _size() -> dict:
    """For a terminal that doesn't know its size, on which tqdm would show nothing."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):  # no terminal
        return {}
    return {} if known else {"ncols": 80, "nrows": 24}


def _mean(values) -> float:
    return sum(values) / len(values) if values else math.nan
