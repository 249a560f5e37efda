"""Networks of any size, made of one: channels leave, then bases, in closed form."""

import contextlib
import dataclasses
import functools

import keras

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.measure import cost
from keras_basisprune.methods import convert
from keras_basisprune.plan import Plan
from keras_basisprune.plans.allocate import allocate
from keras_basisprune.plans.quick_channels import quick_channels
from keras_basisprune.plans.quick_ranks import quick_ranks
from keras_basisprune.plans.select_channels import ChannelLimits, select_channels
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.compensate import compensate

_STEPS = (1, 8, 16, 32)  # multiples that widths are tried at, for latency


@dataclasses.dataclass(frozen=True)
class Cut:
    """A smaller network.

    Attributes:
        plan: The channels that were kept of the network that was cut, and the bases
            that were kept of what was left then.
        slim: The network without the channels that have left.
        network: The result: with scales where bases were taken, not folded.
    """

    plan: Plan
    slim: keras.Model
    network: keras.Model


@dataclasses.dataclass(frozen=True)
class Ways:
    """How networks are cut.

    Attributes:
        compensation: Whether kernels are corrected when channels have left.
        round_to: Ranks and channels are multiples of this where they can be.
        counted: `"flops"` or `"params"`: of what the shares are.
        table: A `LatencyTable`: widths and ranks are chosen by its times; or `None`.
    """

    compensation: bool = True
    round_to: int = 1
    counted: str = "flops"
    table: object = None


class Cutter:
    """Cuts one network to any share of its cost, by channels, bases or both.

    What does not depend on the share (the scores of the channels, the bases of the
    whole) is computed once. A cut takes about three passes of the images through the
    network, and the products and solutions of `compensate` and `convert`.

    Args:
        model: A Functional or Sequential `keras.Model`.
        images: Unlabelled samples.
        ways: `Ways`.
    """

    def __init__(self, model, images, ways):
        self.model, self._images, self._ways = model, images, ways
        names = {layer.name for layer in model.layers}
        halves = {name for name in names if basis_name(name) in names}
        # What was decomposed in an earlier round isn't again: its rank is a number of
        # channels now.
        self._halves = halves | {basis_name(name) for name in halves}

    def cut(self, keep, to_channels) -> Cut | None:
        """Cuts the network.

        Args:
            keep: Float in (0, 1), the share of the cost to keep.
            to_channels: Float in [0, 1]: channels leave down to `keep ** to_channels`,
                bases are cut down to the rest. 1 are channels alone, 0 bases alone.

        Returns:
            A `Cut`, or `None` if the share can't be reached so.
        """
        try:
            slim, channels = (
                self._slim(keep**to_channels) if to_channels else (None, {})
            )
            if to_channels == 1:
                return Cut(Plan(channels=channels), slim, slim)
            slim = slim or self.model
            return self._cut_bases(slim, channels, keep)
        except _NotReached:
            return None

    @functools.cached_property
    def _scores(self):
        return compensated(self.model, self._images)

    @functools.cached_property
    def _whole(self):
        return self._converted(self.model)

    @functools.cached_property
    def _cost(self) -> int:
        return getattr(cost(self.model), self._ways.counted)

    def _slim(self, keep):
        """The model without the channels that leave, and those that are kept."""
        ways, plans = self._ways, []
        steps = {ways.round_to}
        if ways.table:
            steps |= {step for step in _STEPS if step % ways.round_to == 0}
        for step in sorted(steps):
            limits = ChannelLimits(round_to=step)
            with contextlib.suppress(_NotReached), _not_reached("Expected `keep`"):
                plan = select_channels(
                    self.model, self._scores, keep, ways.counted, "local", None, limits
                )
                plans.append(plan)
        if not plans:
            raise _NotReached
        plan = quick_channels(self.model, plans, ways.table) if ways.table else plans[0]
        if ways.compensation:
            slim = compensate(self.model, plan, self._images, verbose=0)
        else:
            slim = prune(self.model, plan)
        return slim, plan.channels

    def _converted(self, model):
        chosen = {"exclude": self._is_half, "data": self._images, "verbose": 0}
        with _not_reached("Expected `model` to have a layer that can be decomposed"):
            return convert(model, **chosen)

    def _is_half(self, layer) -> bool:
        return layer.name in self._halves

    def _cut_bases(self, slim, channels, keep):
        ways = self._ways
        whole = self._whole if slim is self.model else self._converted(slim)
        share = min(1.0, keep * self._cost / getattr(cost(slim), ways.counted))
        with _not_reached("Expected `keep`"):
            plan = allocate(whole, share, ways.counted, "model", round_to=ways.round_to)
        if ways.table:
            plan = quick_ranks(whole, plan, ways.table)
        network = convert(
            slim,
            plan,
            "regression",
            exclude=self._is_half,
            data=self._images,
            verbose=0,
        )
        return Cut(Plan(bases=plan.bases, channels=channels), slim, network)


class _NotReached(Exception):
    """So small a share can't be had."""


class _not_reached:
    """Turns the `ValueError` that begins in a certain way into `_NotReached`."""

    def __init__(self, start):
        self._start = start

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, ValueError) and str(error).startswith(self._start):
            raise _NotReached from error
        return False
