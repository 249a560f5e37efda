"""Widths that run fastest on this machine."""

import dataclasses
import math

import numpy as np

from keras_basisprune.measure import predicted_latency
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.surgery import prune
from keras_basisprune.utils.cannot_reach import CannotReach

_STEPS = (1, 8, 16, 32)  # multiples that widths are tried at
_ALIKE = 1.02  # times within 2 % are the same
_TRIALS = 5
_NEAR = 0.9  # so much of the time that may be spent is good enough


class QuickChannels:
    """Chooses widths by the times of a `LatencyTable`.

    A smaller number of channels can be slower than a larger one (docs/compress.md), so
    that selections of about the same cost differ in time. Several are made, at widths
    that are multiples of 1, 8, 16 and 32, as far as limits allow. Each is carried out,
    and the times of the layers that it leaves are added up (`predicted_latency`).

    Args:
        model: A `keras.Model`.
        traced: Its `Trace`.
        channels: Its `ChannelMap`.
        choice: Its `ChannelChoice`.
        limits: A `Limits`.
        table: A `LatencyTable`.
    """

    def __init__(self, model, traced, channels, choice, limits, table):
        self._model, self._choice, self._table = model, choice, table
        steps = {step for step in _STEPS if step % limits.round_to == 0}
        self._limits = [
            dataclasses.replace(limits, round_to=step)
            for step in sorted(steps | {limits.round_to})
        ]
        self._costs = ChannelCosts(traced, channels, "flops")
        self._whole = np.ones(channels.count, bool)
        self._times: dict[bytes, float] = {}

    def above(self, threshold) -> np.ndarray:
        """The groups whose scores reach a threshold, at the quickest widths.

        Of those that take at most 2 % longer than the fastest, most groups.
        """
        found = [self._choice.above(threshold, limits) for limits in self._limits]
        times = [self._time(alive) for alive in found]
        fast = [
            a for a, t in zip(found, times, strict=True) if t <= min(times) * _ALIKE
        ]
        return max(fast, key=np.count_nonzero)

    def within(self, keep) -> np.ndarray:
        """The groups by which the model takes a share of the time that it took.

        Of the largest selections that do at each multiple, the one with most FLOPs.

        Raises:
            CannotReach: If there is none.
        """
        whole = self._time(self._whole)
        found, share = [], keep
        for limits in self._limits:
            alive, share = self._largest(limits, share, keep * whole, whole)
            if alive is not None:
                found.append(alive)
        if not found:
            least = min(self._times.values()) / whole
            raise CannotReach(
                "Expected `keep` to be a share of the milliseconds that can be "
                f"reached. Received: keep={keep}; without all channels that may leave "
                f"{least:.3f} is left. Pass keep={math.ceil(least * 1000) / 1000:.3f} "
                "or more, or wider `limits`."
            )
        return max(found, key=self._costs)

    def _largest(self, limits, share, most, whole):
        """The largest selection that was found to take no more time than it may.

        Args:
            limits: The `Limits`, with a multiple.
            share: The share of FLOPs to begin with.
            most: Milliseconds that it may take.
            whole: Milliseconds of the whole model.

        Returns:
            A pair of a boolean array (or `None`), and the share of FLOPs to begin with
            at another multiple.
        """
        least, found = self._choice.least(self._costs, limits), None
        below, above = (least, 0.0), (1.0, whole)  # a share and its time on either side
        tried = max(share, least)
        for trial in range(_TRIALS):
            alive = self._choice.within(self._costs, tried, limits, "flops")
            time = self._time(alive)
            if time <= most * (1 + 1e-9):
                below, found, share = (tried, time), alive, tried
                if time >= _NEAR * most or tried == 1.0:
                    break
            else:
                above = tried, time
                if tried == least:
                    break
            tried = max(_between(below, above, most), least)
            if trial == _TRIALS - 2 and found is None:
                tried = least
        return found, share

    def _time(self, alive) -> float:
        key = alive.tobytes()
        if key not in self._times:
            small = self._model
            if not alive.all():
                small = prune(small, self._choice.plan(alive))
            self._times[key] = predicted_latency(small, self._table)
        return self._times[key]


def _between(below, above, most) -> float:
    """A share between two, at which the time is expected to be a bit less than `most`.

    Times are taken for powers of shares; where the lower one has not been tried yet,
    they are in proportion.
    """
    (low, fast), (high, slow) = below, above
    wanted = most * (1 + _NEAR) / 2
    if not fast:
        return high * wanted / slow
    if slow <= fast or low >= high:
        return math.sqrt(low * high)
    power = math.log(wanted / fast) / math.log(slow / fast)
    return low * (high / low) ** min(max(power, 0.1), 0.9)
