"""Networks of any size, made of one: channels leave, then bases, in closed form."""

import dataclasses
import functools

import keras

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.measure import cost, predicted_latency
from keras_basisprune.methods import convert
from keras_basisprune.plan import Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.compensate import compensate
from keras_basisprune.utils.cannot_reach import CannotReach


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
class CutOptions:
    """How networks are cut.

    Attributes:
        compensation: Whether kernels are corrected when channels have left.
        round_to: Ranks and channels are multiples of this where they can be.
        counted: `"flops"` or `"params"`: of what the shares are.
        table: A `LatencyTable`: shares are of its times, by which widths and ranks are
            chosen; or `None`.
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
        options: `CutOptions`.
    """

    def __init__(self, model, images, options):
        self.model = model
        self._images, self._options = images, options
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
            if not to_channels:
                return self._cut_bases(self.model, {}, keep)
            slim, channels = self._slim(keep**to_channels)
            if to_channels == 1:
                return Cut(Plan(channels=channels), slim, slim)
            return self._cut_bases(slim, channels, keep)
        except (CannotReach, NothingToDecompose):
            return None

    @functools.cached_property
    def _scores(self):
        return compensated(self.model, self._images)

    @functools.cached_property
    def _whole(self):
        return self._convert(self.model)

    @functools.cached_property
    def _cost(self) -> float:
        return self._counted(self.model)

    def _counted(self, model) -> float:
        if self._options.table:
            return predicted_latency(model, self._options.table)
        return getattr(cost(model), self._options.counted)

    def _slim(self, keep):
        """The model without the channels that leave, and those that are kept."""
        options, model = self._options, self.model
        plan = self._channels(keep)
        if options.compensation:
            slim = compensate(model, plan, self._images, verbose=0)
        else:
            slim = prune(model, plan)
        return slim, plan.channels

    def _channels(self, keep) -> Plan:
        """The channels to keep."""
        options = self._options
        return select_channels(
            self.model,
            keep=keep,
            scores=self._scores,
            cost=options.table or options.counted,
            limits=Limits(round_to=options.round_to),
        )

    def _convert(self, model, plan=None, basis=None) -> keras.Model:
        return convert(
            model,
            plan,
            basis=basis,
            exclude=self._is_half,
            data=self._images,
            verbose=0,
        )

    def _is_half(self, layer) -> bool:
        return layer.name in self._halves

    def _cut_bases(self, slim, channels, keep) -> Cut:
        options = self._options
        whole = self._whole if slim is self.model else self._convert(slim)
        plan = select_bases(
            whole,
            keep=min(1.0, keep * self._cost / self._counted(slim)),
            cost=options.table or options.counted,
            limits=Limits(round_to=options.round_to),
        )
        network = self._convert(slim, plan, "regression")
        return Cut(Plan(bases=plan.bases, channels=channels), slim, network)
