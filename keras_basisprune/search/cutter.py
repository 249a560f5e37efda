"""Networks of any size, made of one: channels leave, then bases, in closed form."""

import dataclasses
import functools

import keras

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import cost
from keras_basisprune.methods import convert
from keras_basisprune.methods.nothing_to_decompose import NothingToDecompose
from keras_basisprune.plan import Plan
from keras_basisprune.plans.allocate import allocate
from keras_basisprune.plans.quick_channels import quick_channels
from keras_basisprune.plans.quick_ranks import quick_ranks
from keras_basisprune.plans.select_channels import ChannelLimits, select_channels
from keras_basisprune.scores.channels import compensated
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.compensate import compensate
from keras_basisprune.utils.cannot_reach import CannotReach

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
class CutOptions:
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
        options: `CutOptions`.
    """

    def __init__(self, model, images, options):
        self._model = _Traced(model)
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
                return self._cut_bases(self._model, {}, keep)
            slim, channels = self._slim(keep**to_channels)
            if to_channels == 1:
                return Cut(Plan(channels=channels), slim, slim)
            return self._cut_bases(_Traced(slim), channels, keep)
        except (CannotReach, NothingToDecompose):
            return None

    @property
    def model(self) -> keras.Model:
        """The network that is cut."""
        return self._model.model

    @functools.cached_property
    def _scores(self):
        return compensated(self.model, self._images, _traced=self._model.trace)

    @functools.cached_property
    def _whole(self):
        return self._converted(self._model)

    @functools.cached_property
    def _cost(self) -> int:
        return self._counted(self._model)

    def _counted(self, traced) -> int:
        return getattr(cost(traced.model, _traced=traced.trace), self._options.counted)

    def _slim(self, keep):
        """The model without the channels that leave, and those that are kept."""
        options, model, traced = self._options, self.model, self._model.trace
        plan = self._channels(keep)
        if options.compensation:
            slim = compensate(model, plan, self._images, verbose=0, _traced=traced)
        else:
            slim = prune(model, plan, _traced=traced)
        return slim, plan.channels

    def _channels(self, keep) -> Plan:
        """The channels to keep: of several multiples those that run fastest."""
        options, plans, missed = self._options, [], None
        steps = {options.round_to}
        if options.table:
            steps |= {step for step in _STEPS if step % options.round_to == 0}
        for step in sorted(steps):
            try:
                plan = select_channels(
                    self.model,
                    self._scores,
                    keep,
                    options.counted,
                    "local",
                    limits=ChannelLimits(round_to=step),
                    _traced=self._model.trace,
                )
                plans.append(plan)
            except CannotReach as error:
                missed = error
        if missed is not None and not plans:
            raise missed
        if options.table:
            return quick_channels(self.model, plans, options.table)
        return plans[0]

    def _converted(self, traced) -> "_Traced":
        return _Traced(self._convert(traced))

    def _convert(self, traced, plan=None, basis=None) -> keras.Model:
        return convert(
            traced.model,
            plan,
            basis,
            exclude=self._is_half,
            data=self._images,
            verbose=0,
            _traced=traced.trace,
        )

    def _is_half(self, layer) -> bool:
        return layer.name in self._halves

    def _cut_bases(self, slim, channels, keep) -> Cut:
        options = self._options
        whole = self._whole if slim is self._model else self._converted(slim)
        plan = allocate(
            whole.model,
            min(1.0, keep * self._cost / self._counted(slim)),
            options.counted,
            "model",
            round_to=options.round_to,
            _traced=whole.trace,
        )
        if options.table:
            plan = quick_ranks(whole.model, plan, options.table)
        network = self._convert(slim, plan, "regression")
        return Cut(Plan(bases=plan.bases, channels=channels), slim.model, network)


class _Traced:
    """A model, and its `Trace` once it is asked for."""

    def __init__(self, model):
        self.model = model

    @functools.cached_property
    def trace(self):
        return trace(self.model)
