"""Chooses widths that run fastest on this machine."""

import dataclasses
import math

import numpy as np

from keras_basisprune.measure import predicted_latency
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plans._same_time import same_time
from keras_basisprune.surgery import prune
from keras_basisprune.utils.cannot_reach import CannotReach

_STEPS = (1, 8, 16, 32)  # widths are tried at multiples of these
_TRIALS = 5
_NEAR = 0.9  # a time of at least this share of the budget is good enough


class QuickChannels:
    """Chooses widths by the times of a `LatencyTable`.

    A smaller number of channels can be slower than a larger one (docs/compress.md), so
    selections of about the same cost differ in time. Several are made, at widths that
    are multiples of 1, 8, 16 and 32, as far as limits allow. Each is carried out, and
    the times of the resulting layers are added up (`predicted_latency`).

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
        """Returns the groups whose scores reach a threshold, at the fastest widths.

        Of the selections that take at most 2 % longer than the fastest, that is the one
        with the most groups.
        """
        found = [self._choice.above(threshold, limits) for limits in self._limits]
        times = [self._time(kept) for kept in found]
        limit = same_time(times)
        fast = [kept for kept, t in zip(found, times, strict=True) if t <= limit]
        return max(fast, key=np.count_nonzero)

    def within(self, keep) -> np.ndarray:
        """Returns the groups to keep for a share of the model's time.

        Of the largest such selections at each multiple, that is the one with the most
        FLOPs.

        Raises:
            CannotReach: If the share can't be reached.
        """
        whole = self._time(self._whole)
        found, share = [], keep
        for limits in self._limits:
            kept, share = self._largest(limits, share, keep * whole, whole)
            if kept is not None:
                found.append(kept)
        if not found:
            lowest = min(self._times.values()) / whole
            raise CannotReach(
                "Expected `keep` to be a share of the milliseconds that can be "
                f"reached. Received: keep={keep}; the smallest share is {lowest:.3f}. "
                f"Pass keep={math.ceil(lowest * 1000) / 1000:.3f} or more, or wider "
                "`limits`."
            )
        return max(found, key=self._costs)

    def _largest(self, limits, share, max_time, whole):
        """Returns the largest selection found that is within the time.

        Args:
            limits: The `Limits`, with a multiple.
            share: The share of FLOPs to begin with.
            max_time: Milliseconds that it may take.
            whole: Milliseconds of the whole model.

        Returns:
            A pair of a boolean array (or `None`), and the share of FLOPs to begin with
            at another multiple.
        """
        lowest, found = self._choice.lowest(self._costs, limits), None
        below, above = (lowest, 0.0), (1.0, whole)  # shares on either side, and times
        tried = max(share, lowest)
        for trial in range(_TRIALS):
            kept = self._choice.within(self._costs, tried, limits, "flops")
            time = self._time(kept)
            if time <= max_time * (1 + 1e-9):
                below, found, share = (tried, time), kept, tried
                if time >= _NEAR * max_time or tried == 1.0:
                    break
            else:
                above = tried, time
                if tried == lowest:
                    break
            tried = max(_between(below, above, max_time), lowest)
            if trial == _TRIALS - 2 and found is None:
                tried = lowest
        return found, share

    def _time(self, kept) -> float:
        key = kept.tobytes()
        if key not in self._times:
            small = self._model
            if not kept.all():
                small = prune(small, self._choice.plan(kept))
            self._times[key] = predicted_latency(small, self._table)
        return self._times[key]


def _between(below, above, max_time) -> float:
    """Returns a share between two, whose time should be a little below `max_time`.

    Times are modelled as powers of shares, or as proportional to them if the lower
    share has not been tried yet.
    """
    (low, fast), (high, slow) = below, above
    wanted = max_time * (1 + _NEAR) / 2
    if not fast:
        return high * wanted / slow
    if slow <= fast or low >= high:
        return math.sqrt(low * high)
    power = math.log(wanted / fast) / math.log(slow / fast)
    return low * (high / low) ** min(max(power, 0.1), 0.9)
