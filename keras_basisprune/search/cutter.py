"""Cuts a network to any size, by any method of the table."""

import dataclasses
from typing import Any

import keras

from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.graph.running import RememberedValues
from keras_basisprune.measure import LatencyTable
from keras_basisprune.methods.apply_method import apply_method
from keras_basisprune.plan import Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.search.prepared_by import prepared_by
from keras_basisprune.utils.cannot_reach import CannotReach


@dataclasses.dataclass(frozen=True)
class Cut:
    """A smaller network.

    Attributes:
        plan: The channels that were kept of the network that was cut, and then the
            bases that were kept of the result.
        network: The result: with scales where layers were decomposed, not folded.
    """

    plan: Plan
    network: keras.Model


@dataclasses.dataclass(frozen=True)
class CutOptions:
    """Options of a `Cutter`.

    Attributes:
        cost: What shares are counted in: `"flops"` or `"params"`; or a `LatencyTable`,
            by whose times widths and ranks are chosen.
        limits: The `Limits` of ranks and channels; `None` for no limits.
        compensation: Whether kernels are corrected when channels are removed.
        seed: Integer, for random numbers in the networks that methods prepare.
    """

    cost: str | LatencyTable = "flops"
    limits: Limits | None = None
    compensation: bool = True
    seed: int = 0


class Cutter:
    """Cuts one network to any share of its cost, by any `Method`.

    Whatever does not depend on the share (the prepared and trained network, what
    `Method.scores` returns, and what the layers of the network that is cut make of the
    images) is computed once, and shared by methods that use the same functions.

    Args:
        model: A Functional or Sequential `keras.Model`, flat.
        images: Unlabelled samples.
        options: `CutOptions`.
        train: A function of a `Method`, the network that it has prepared, and a share
            (`None` for all) that returns the network, trained. Only needed for methods
            that train.
        prepared: Dict by method name of the networks that are prepared already.
    """

    def __init__(self, model, images, options, train=None, prepared=()):
        self.model = model
        self._images, self._options, self._train = images, options, train
        self._made: dict[tuple, Any] = {}
        self._prepared: dict[str, keras.Model] = dict(prepared)
        # Those of the network that was cut last.
        self._values: tuple = (None, None)

    def cut(self, keep, method) -> Cut | None:
        """Cuts the network.

        Args:
            keep: Float in (0, 1), the share of the cost to keep.
            method: A `Method`.

        Returns:
            A `Cut`, or `None` if the method can't reach the share.
        """
        options = self._options
        try:
            prepared, scores = self.prepared(keep, method), None
            if method.scores:
                scores = self._once(
                    (method.scores, id(prepared)),
                    lambda: method.scores(prepared, data=self._images),
                )
            with self._remembered(prepared):
                plan, network = apply_method(
                    method,
                    prepared,
                    keep=keep,
                    data=self._images,
                    cost=options.cost,
                    scores=scores,
                    limits=options.limits,
                    compensation=options.compensation,
                )
        except (CannotReach, NothingToDecompose):
            return None
        return Cut(plan, network)

    def prepared(self, keep, method) -> keras.Model:
        """Returns what a method cuts: the network, or what it prepared and trained.

        Args:
            keep: Float in (0, 1), the share that it is trained for, if the method
                trains for each share.
            method: A `Method`.

        Raises:
            CannotReach: If the method can't work on this network.
        """
        if not method.train:
            if not method.prepares:
                return self.model
            return self._once((method.prepare,), lambda: self._prepare(method))
        share = keep if method.train_each else None
        return self._once(
            (method.prepare, method.train, share),
            lambda: self._train(method, self._prepare(method), share),
        )

    def _remembered(self, prepared):
        """Enters a block in which what layers of a network make is computed once."""
        known, values = self._values
        if known is not prepared:
            values = RememberedValues(prepared, self._images)
            self._values = prepared, values
        return values()

    def _prepare(self, method):
        known = self._prepared.pop(method.name, None)
        if known is not None:
            return known
        try:
            return prepared_by(method, self.model, self._images, self._options.seed)
        except ValueError as error:
            raise CannotReach(str(error)) from error

    def _once(self, key, make):
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
