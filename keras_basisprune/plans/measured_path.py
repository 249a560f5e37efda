"""Plans of channels of one network, measured again on the way to a share."""

import contextlib
import math

import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.plan import Plan
from keras_basisprune.plans._measured_channels import measured_channels
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.measured_split import measured_split
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
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery.compensate import compensate
from keras_basisprune.utils.cannot_reach import CannotReach


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
        shares: As in `sensitivity`, descending.
        most: The most samples that losses are measured on, at most two fifths; `None`
            for that. All others are fitted on, and all say in which order channels
            leave (`scores.channels.compensated`).
        evenness: Float >= 0, how much is added to the losses of a network that has been
            cut, for layers that would be left with far fewer of their channels than
            others (as in `MeasuredChoice`). With long steps, losses are less certain:
            fits are worse where a network has been cut by half, and hide what a layer
            is worth.
        verbose: Whether to show progress bars.
    """

    def __init__(
        self, model, data, step, shares=SHARES, most=None, evenness=0.0, verbose=False
    ):
        self._model, self._step, self._verbose = model, step, verbose
        size = samples_at_once(model)
        self._data = KeptBatches.of(model, data, size)
        self._parts = split_samples(model, iter(self._data), FITTED, most)
        self._shares, self._evenness = shares, evenness
        self._whole: Sensitivity | None = None
        self._split: float | None = None
        self._found: list[tuple] = []  # a cost, limits, and what was measured for them
        self._losses: list[tuple] = []  # a plan, and the loss that was predicted for it
        self._recall = _computed

    def keep_in(self, recall):
        """Lets measurements be remembered by others, who may know them already.

        Args:
            recall: A function of a question (a string) and a function that finds the
                answer (a string) that returns the answer.
        """
        self._recall = recall

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
        again, found = max(0, math.ceil(steps - 1e-9) - 1), self.whole()
        if again:
            found = self._after(again, given)
            plan = self._chosen(keep, found, given)
        self._losses.append((plan, found.predicted(plan)))
        return plan

    def trade_off(self, shares, cost="flops", limits=None) -> list[tuple[float, float]]:
        """Predicts losses from what was measured of the whole network.

        Args:
            shares: Floats in (0, 1].
            cost: As in `plan`.
            limits: As in `plan`.

        Returns:
            A list of pairs of a share and a loss, without those that can't be reached.
        """
        found, pairs = self.whole(), []
        for keep in shares:
            with contextlib.suppress(CannotReach):
                plan = self._chosen(keep, found, {"cost": cost, "limits": limits})
                pairs.append((keep, found.predicted(plan)))
        return pairs

    def split(self) -> float:
        """Returns how much of a cut is best made by channels, the rest by bases.

        Bases are measured once for that, each layer alone, in the whole network.

        Returns:
            The exponent of a share: channels are cut to `share ** split`.
        """
        if self._split is None:
            given = self._shares, RIDGE, self._verbose

            def find():
                found = measured_parts(self._model, *self._parts, *given, what="bases")
                return found.to_json()

            text = self._recall("sensitivity of the bases of the whole network", find)
            bases = Sensitivity.from_json(text)
            self._split = measured_split(self._model, self.whole(), bases)
        return self._split

    def predicted(self, plan) -> float:
        """Returns the loss that was predicted for the channels of a plan.

        Args:
            plan: A `Plan` with the channels of one that `plan` has returned.
        """
        for known, loss in reversed(self._losses):
            if known.channels == plan.channels:
                return loss
        return math.nan

    def whole(self) -> Sensitivity:
        """Returns what was measured of the whole network."""
        if self._whole is None:
            self._whole = self._measured("of the whole network", self._model)
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
        before, keep = found[-1], (1 - self._step) ** len(found)
        plan = self._chosen(keep, before, given)
        if not plan.channels:
            return before
        cost, limits = given["cost"], given["limits"] or Limits()
        unit = cost if isinstance(cost, str) else "time"
        name = f"at {keep:g} of the {unit}, with {limits}"
        return moved_to(before, plan, self._measured(name, self._model, plan))

    def _measured(self, name, model, plan=None) -> Sensitivity:
        """Measures a network, or what a plan leaves of it."""

        def find():
            network, original = model, None
            if plan is not None:
                data = iter(self._parts[0])
                network, original = compensate(model, plan, data, verbose=0), model
            given = {"original": original}
            given["scores"] = compensated(network, iter(self._data), ridge=RIDGE)
            options = self._shares, RIDGE, self._verbose
            return measured_parts(network, *self._parts, *options, **given).to_json()

        return Sensitivity.from_json(self._recall(f"sensitivity {name}", find))

    def _chosen(self, keep, found, given):
        if not found.curves:  # no channel may leave
            stays = np.full(channel_map(trace(self._model)).count, np.inf)
            return select_channels(self._model, keep=keep, scores=stays, **given)
        given = {**given, "limits": given["limits"] or Limits()}
        evenness = 0.0 if found is self.whole() else self._evenness
        return measured_channels(
            self._model, found, keep=keep, evenness=evenness, **given
        )


def _computed(question, find):
    return find()
