"""Plans of channels of one network, measured again on the way to a share."""

import math

import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.plans.sensitivity import Sensitivity
from keras_basisprune.plans.sensitivity.measured_parts import (
    FITTED,
    RIDGE,
    SHARES,
    measured_parts,
)
from keras_basisprune.plans.sensitivity.moved_to import moved_to
from keras_basisprune.plans.sensitivity.split_samples import split_samples
from keras_basisprune.surgery.compensate import compensate


class MeasuredPath:
    """Chooses channels for any share of a network, by its measured sensitivity.

    Losses of several layers do not add up, so what was measured of the whole network
    says little of one that has been cut by half. On the way to a share, the network is
    cut and compensated at `1 - step`, `(1 - step)^2`, ..., and measured again there,
    against the original's outputs. Plans for the same share are the same, whatever was
    asked before. Each measurement is made once, when it is first needed.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: Unlabelled samples.
        step: Float in (0, 1], the share of the remaining cost that is removed between
            two measurements; 1 measures the whole network only.
        verbose: Whether to show progress bars.
    """

    def __init__(self, model, data, step, verbose=False):
        self._model, self._step, self._verbose = model, step, verbose
        self._parts = split_samples(model, data, FITTED)
        self._whole: Sensitivity | None = None
        self._found: list[tuple] = []  # a cost, limits, and what was measured for them

    def plan(self, keep, cost="flops", limits=None) -> Plan:
        """Returns the channels to keep for a share of the model's cost.

        Args:
            keep: Float in (0, 1].
            cost: What is counted, as in `select_channels`.
            limits: A `Limits`, or `None`.

        Raises:
            CannotReach: If the share can't be reached.
        """
        given = {"cost": cost, "limits": limits}
        plan, steps = self._chosen(keep, self.whole(), given), 0.0
        if self._step < 1:
            steps = math.log(keep) / math.log(1 - self._step)
        again = max(0, math.ceil(steps - 1e-9) - 1)
        return self._chosen(keep, self._after(again, given), given) if again else plan

    def whole(self) -> Sensitivity:
        """Returns what was measured of the whole network."""
        if self._whole is None:
            self._whole = self._measure(self._model)
        return self._whole

    def _after(self, places, given) -> Sensitivity:
        """Returns what is known after a number of measurements on the way."""
        known = [
            found
            for own, found in self._found
            if own["cost"] is given["cost"] and own["limits"] == given["limits"]
        ]
        found = known[0] if known else [self.whole()]
        if not known:
            self._found.append((given, found))
        while len(found) <= places:
            found.append(self._next(found, given))
        return found[places]

    def _next(self, found, given) -> Sensitivity:
        before = found[-1]
        plan = self._chosen((1 - self._step) ** len(found), before, given)
        if not plan.channels:
            return before
        cut = compensate(self._model, plan, iter(self._parts[0]), verbose=0)
        return moved_to(before, plan, self._measure(cut, original=self._model))

    def _measure(self, model, **given):
        options = SHARES, RIDGE, self._verbose
        return measured_parts(model, *self._parts, *options, **given)

    def _chosen(self, keep, found, given):
        if not found.curves:  # no channel may leave
            stays = np.full(channel_map(trace(self._model)).count, np.inf)
            return select_channels(self._model, keep=keep, scores=stays, **given)
        return select_channels(self._model, keep=keep, sensitivity=found, **given)
