"""The progress line of a search."""

import math
import os
import sys
import time

import keras
from tqdm.auto import tqdm

from keras_basisprune.search.quantized_epochs import quantized_epochs

_NAMES = {"flops": "FLOPs", "params": "parameters", "latency": "milliseconds"}
_LINE = "{desc} {n_fmt}/{total_fmt} {bar:6}{postfix}"
# Passes through the network per training image: forward, backward, update.
_TRAINING_PASSES = 3


class Progress:
    """Shows a search in one line on standard error, below an explanation.

    The explanation is printed once. The remaining time is that of the round: further
    cuts are estimated from the time of earlier cuts, training from earlier epochs
    (before the first epoch, from the time that the validation images take). Trials that
    an interrupted search has left count with the time that they took then.

    Args:
        task: A `Task`.
    """

    def __init__(self, task):
        self._task = task
        self._bar = None
        self._metric = task.measure.name
        self._cuts_left, self._cuts = 0, []  # seconds of each
        self._training = None  # seconds, if known or estimated
        self._guessed = True
        self._trained_each = {m.name for m in task.methods if m.train_each}
        if task.verbose:
            tqdm.write(self._legend(), file=sys.stderr)

    def _legend(self) -> str:
        task, images = self._task, len(self._task.validation)
        what = "Networks of several sizes are cut; the smallest good one is kept."
        if task.recovery:
            what = (
                f"Each round (up to {task.rounds}) cuts networks of several sizes and "
                "trains the best one.\nIf that is not good enough, a retry cuts less."
            )
        name = _NAMES.get(task.objective, task.objective)
        training = ", its training included" if task.recovery else ""
        kind, bound = "", "at least"
        if not task.measure.exact:
            direction = "more" if task.sign > 0 else "less"
            kind = f" ({task.measure.text}; {direction} is better)"
            bound = "at least" if task.sign > 0 else "at most"
        return (
            f"{what}\n  removed   of the {name}\n"
            f"  {self._metric:<9} on the {images:,} validation images{kind}; in "
            f"brackets, what others show\n            {bound}, with 95 % confidence\n"
            f"  left      time of this round, about{training}"
        )

    @property
    def expected_training(self) -> float:
        """The seconds that a training will take, about; NaN if nothing is known yet."""
        return math.nan if self._training is None else self._training

    def begin(self, number, retry, cuts):
        """Shows that a round begins, or another attempt at it.

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
            seconds.pop("measuring", None)
            if trial.method not in self._trained_each:  # it is trained only once
                seconds.pop("training", None)
            self._cuts.append(sum(seconds.values()))
            self._guess(seconds.get("evaluation", math.nan))
        self._bar.total = max(self._bar.total or 0, self._bar.n + 1)
        self._bar.update()
        self._say(self._figures(trial), trained=trial.trained)

    def prepare(self, method):
        """Shows that a `Method` trains a network, which is cut afterwards."""
        self._say(f"training by {method.name}")

    def train(self, epochs=None, what="training") -> list:
        """Shows that training begins.

        Args:
            epochs: Integer; `None` for those of the recovery.
            what: String, what the training is called.

        Returns:
            A list of Keras callbacks that show its epochs.
        """
        self._cuts_left, start = 0, time.perf_counter()
        epochs, done = epochs or self._task.recovery.epochs, []
        self._say(what)

        def ended(*_):
            done.append(time.perf_counter() - start)
            left = done[-1] / len(done) * max(epochs - len(done), 0)
            self._say(f"{what}, epoch {len(done)}/{epochs}", left)

        return [keras.callbacks.LambdaCallback(on_epoch_end=ended)]

    def close(self):
        """Ends the line."""
        if self._bar is not None:
            self._bar.close()

    def _guess(self, evaluation):
        """Estimates the seconds of the first training from those of an evaluation."""
        task = self._task
        if not task.recovery or not self._guessed or math.isnan(evaluation):
            return
        images = len(task.train) / len(task.validation)
        epochs = task.recovery.epochs + quantized_epochs(task.recovery)
        passes = epochs * (_TRAINING_PASSES + bool(task.distill))
        self._training = evaluation * images * passes

    def _figures(self, trial) -> str:
        if math.isnan(trial.score):
            return "there is no network of this size"
        task = self._task
        text = (
            f"{1 - trial.kept:.1%} removed, {self._metric} {shown_score(trial.score)}"
        )
        if not math.isfinite(trial.bound):
            return text
        least = task.sign * (task.min_score + task.max_drop - trial.bound)
        return (
            f"{text} ({shown_score(max(least, 0.0) if task.measure.share else least)})"
            f"{'' if trial.judged == 'keras' else f' as {trial.judged}'}"
        )

    def _say(self, text, left=None, trained=False, refresh=True):
        if left is None and not trained:
            left = self._cuts_left * _mean(self._cuts)
            if self._task.recovery:
                left += self.expected_training
        if left is not None and not math.isnan(left):
            text = f"{text}, {tqdm.format_interval(left)} left"
        self._bar.set_postfix_str(text, refresh=refresh)


def shown_score(score) -> str:
    """Formats a score: four digits, of small numbers the first four."""
    return (
        f"{score:.4g}" if 0 < abs(score) < 0.01 or abs(score) > 100 else f"{score:.4f}"
    )


def _size() -> dict:
    """Returns a size for terminals of unknown size, where tqdm would show nothing."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):  # no terminal
        return {}
    return {} if known else {"ncols": 80, "nrows": 24}


def _mean(values) -> float:
    return sum(values) / len(values) if values else math.nan
