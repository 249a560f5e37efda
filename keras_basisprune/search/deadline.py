"""The end of a search that has limited time."""

import math
import time

import keras

from keras_basisprune.utils.processes import from_first


class Deadline:
    """Says whether there is time left for another network.

    Of several processes that search together, the clock of the first counts.

    Args:
        seconds: Float, from now on; `None` for no limit.

    Attributes:
        reached: Whether something was left out or shortened for lack of time.
    """

    def __init__(self, seconds=None):
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._cuts: dict[str, float] = {}  # the seconds of a method's newest cut
        self.reached = False

    def left(self) -> float:
        """Returns the seconds that are left; infinity without a limit."""
        if math.isinf(self._end):
            return self._end
        return from_first(self._left)

    def _left(self) -> float:
        return self._end - time.monotonic()

    def learn(self, method, seconds):
        """Notes what a cut has cost.

        Args:
            method: String, the name of the `Method`.
            seconds: Float, of cutting and judging.
        """
        self._cuts[method] = seconds

    def allows(self, method, reserve=0.0, times=1.0) -> bool:
        """Returns whether another cut by a method is likely to end in time.

        A method that was not used so far is taken to cost as much as the dearest of the
        others. The very first cut is always allowed.

        Args:
            method: String, the name of the `Method`.
            reserve: Float, seconds that are needed afterwards.
            times: Float, how much longer than such a cut it takes.
        """
        if not self._cuts or math.isinf(self._end):
            return True
        expected = self._cuts.get(method, max(self._cuts.values()))
        fits = from_first(lambda: times * expected + reserve <= self._left())
        self.reached = self.reached or not fits
        return fits

    def epochs(self, wanted, expected) -> int:
        """Returns how many epochs of a training end in time.

        Args:
            wanted: Integer, the epochs without a limit.
            expected: Float, the seconds that these are likely to take; NaN if unknown.

        Returns:
            An integer from 0 (if no time is left) to `wanted`.
        """
        if math.isinf(self._end):
            return wanted
        fitting = from_first(lambda: self._fitting(wanted, expected))
        self.reached = self.reached or fitting < wanted
        return fitting

    def _fitting(self, wanted, expected) -> int:
        left = self._left()
        fitting = 0 if left <= 0 else wanted
        if left > 0 and expected > left:  # false for NaN
            fitting = max(1, int(wanted * left / expected))
        return fitting

    def stop_training(self) -> list:
        """Returns Keras callbacks that end a training when the time is over."""
        if math.isinf(self._end):
            return []
        return [_Stop(self)]


class _Stop(keras.callbacks.Callback):
    def __init__(self, deadline):
        super().__init__()
        self._deadline = deadline

    def on_train_batch_end(self, batch, logs=None):
        self._stop_if_over()

    def on_epoch_end(self, epoch, logs=None):
        self._stop_if_over()

    def _stop_if_over(self):
        if self._deadline.left() <= 0:
            self._deadline.reached = True
            self.model.stop_training = True
