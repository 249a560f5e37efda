"""Keeps a monitored metric within a budget while bases are masked."""

import dataclasses
import warnings

import numpy as np

from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole

# Words in the names of metrics of which less is better.
_LOWER = ("loss", "error", "mae", "mse", "mape", "msle", "entropy", "hinge", "diverg")
# Metrics are float32: a value that misses the budget by rounding is within it.
_ROUNDING = 1e-6
_UNKNOWN = (
    "Bases are masked already, and `baseline` of `{}` is not known: the first epoch's "
    "value will be used instead. Pass `baseline`, or, to continue a run that was "
    "killed, put `keras.callbacks.BackupAndRestore` after `L1Thresholding`."
)


def check_guard(max_drop, baseline, mode, patience):
    """Raises `ValueError` if an argument of a `Guard` is out of its range."""
    check_choice("mode", mode, ("auto", "min", "max"), "'max' if more is better.")
    expected, remedy = "a number >= 0", "Pass max_drop=0.01 for one point."
    check_number("max_drop", max_drop, "[0, inf]", expected, remedy)
    check_whole("patience", patience, 0)
    if baseline is not None:
        remedy = "Leave it out for the best value before anything is masked."
        check_number("baseline", baseline, "(-inf, inf)", "a finite number", remedy)


@dataclasses.dataclass
class Guard:
    """Judges each epoch, and remembers the last weights that were within the budget.

    Attributes:
        monitor: Name of the metric in the epoch's logs.
        max_drop: How much worse than `baseline` the metric may get.
        baseline: Value to compare with; `None`: the best one before masking.
        mode: `"max"`, `"min"`, or `"auto"` (`"min"` for losses and errors).
        patience: Epochs for which an exceeded budget is tolerated, without new masks.
        within: Whether the last epoch was within the budget.
        good: `(weights, bases kept)` of the last epoch within the budget, or `None`.
    """

    monitor: str
    max_drop: float
    baseline: float | None = None
    mode: str = "auto"
    patience: int = 0

    def __post_init__(self):
        check_guard(self.max_drop, self.baseline, self.mode, self.patience)
        lower = any(word in self.monitor for word in _LOWER)
        self.sign = -1 if self.mode == "min" or (self.mode == "auto" and lower) else 1
        self.given = self.baseline
        self.start()

    def start(self):
        """Resets the state of an earlier training run."""
        self.baseline = self.given
        self.good = None
        self.within = False
        self.strikes = 0

    def judge(self, logs, kept, total, weights) -> bool:
        """Records an epoch; returns whether the last step must be undone.

        Args:
            logs: The epoch's logs.
            kept: Number of bases that are not masked.
            total: Number of all bases.
            weights: A function that returns a copy of the model's weights.
        """
        value = self.sign * self._value(logs)
        if self.given is None and (kept == total or self.baseline is None):
            if self.baseline is None or value > self.sign * self.baseline:
                self.baseline = None if np.isnan(value) else self.sign * value
        floor = np.inf if self.baseline is None else self.sign * self.baseline
        self.within = bool(value >= floor - self.max_drop - _ROUNDING)
        if self.within:
            self.good, self.strikes = (weights(), kept), 0
        elif self.good is not None and kept < self.good[1]:
            self.strikes += 1  # otherwise masking was not the cause: train on
        return self.strikes > self.patience

    def state(self, weights) -> dict:
        """Returns what `restore` needs besides `weights`, the model's current ones."""
        good, kept = self.good or (weights, -1)
        missing = np.nan if self.baseline is None else self.baseline
        numbers = [missing, self.within, self.strikes, kept]
        changed = {
            f"good_{i}": old
            for i, (old, new) in enumerate(zip(good, weights, strict=True))
            if not np.array_equal(old, new)
        }
        return {"guard": np.array(numbers, np.float64), **changed}

    def restore(self, state, weights, masked):
        """Restores what `state` returned.

        Args:
            state: A dict that contains it, or not if nothing was loaded.
            weights: The model's weights, the same as for `state`.
            masked: Whether bases are masked already.
        """
        if "guard" not in state:
            if masked and self.given is None:
                warnings.warn(_UNKNOWN.format(self.monitor), stacklevel=2)
            return
        baseline, within, strikes, kept = state["guard"].tolist()
        if self.given is None:
            self.baseline = None if np.isnan(baseline) else baseline
        self.within, self.strikes = bool(within), int(strikes)
        good = [state.get(f"good_{i}", weight) for i, weight in enumerate(weights)]
        self.good = None if kept < 0 else (good, int(kept))

    def _value(self, logs):
        if self.monitor not in logs:
            raise ValueError(
                "Expected `monitor` to name a metric of the epoch's logs. Received: "
                f"monitor={self.monitor!r}; there are {sorted(logs)}. Compile the "
                "model with that metric, and for a name with `val_`, give `fit` "
                "`validation_data` (and leave `validation_freq=1`)."
            )
        return float(logs[self.monitor])
