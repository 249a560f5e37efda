"""Keeps a monitored metric within a budget while bases are masked."""

import dataclasses


@dataclasses.dataclass
class Guard:
    """Judges each epoch, and remembers the last weights that were within the budget.

    Attributes:
        monitor: Name of the metric in the epoch's logs.
        max_drop: How much worse than `baseline` the metric may get.
        baseline: Value to compare with; `None`: the best before anything is masked.
        mode: `"max"`, `"min"`, or `"auto"` (`"min"` for losses and errors).
        patience: Epochs for which a broken budget is tolerated, without new masks.
    """

    monitor: str
    max_drop: float
    baseline: float | None = None
    mode: str = "auto"
    patience: int = 0

    def __post_init__(self):
        if self.mode not in ("auto", "min", "max"):
            raise ValueError(
                "Expected `mode` to be 'auto', 'min' or 'max'. "
                f"Received: mode={self.mode!r}."
            )
        if not self.max_drop >= 0:
            raise ValueError(
                "Expected `max_drop` to be a number >= 0. "
                f"Received: max_drop={self.max_drop}. Pass 0.01 for one point."
            )
        lower = any(word in self.monitor for word in ("loss", "error"))
        self.sign = -1 if self.mode == "min" or (self.mode == "auto" and lower) else 1
        self.given = self.baseline
        self.start()

    def start(self):
        """Forgets what an earlier training run saw."""
        self.baseline = self.given
        self.good = None  # (weights, bases kept) that met the budget
        self.strikes = 0

    @property
    def allows(self) -> bool:
        """Whether bases may be masked now."""
        return self.good is not None and not self.strikes

    def judge(self, logs, kept, total, weights) -> bool:
        """Takes note of an epoch; returns whether the last step is to be taken back.

        Args:
            logs: The epoch's logs.
            kept: Number of bases that are not masked.
            total: Number of all bases.
            weights: A function that returns a copy of the model's weights.
        """
        value = self._value(logs)
        if self.given is None and (kept == total or self.baseline is None):
            best = max(self.sign * value, self.sign * (self.baseline or value))
            self.baseline = self.sign * best
        if self.sign * value >= self.sign * self.baseline - self.max_drop:
            self.good, self.strikes = (weights(), kept), 0
            return False
        if self.good is None or self.good[1] == kept:
            return False  # not by masking: go on training
        self.strikes += 1
        return self.strikes > self.patience

    def _value(self, logs):
        if self.monitor not in logs:
            raise ValueError(
                "Expected `monitor` to name a metric of the epoch's logs. Received: "
                f"monitor={self.monitor!r}; there are {sorted(logs)}. Compile the "
                "model with that metric, and give `fit` `validation_data` for `val_`."
            )
        return float(logs[self.monitor])
