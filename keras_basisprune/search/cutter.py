"""Cuts a network to any size, by any method of the table."""

import dataclasses
import functools
import math
from typing import Any

import keras

from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.graph.running import RememberedValues
from keras_basisprune.measure import LatencyTable
from keras_basisprune.methods.apply_method import apply_method
from keras_basisprune.plan import Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.measured_path import MeasuredPath
from keras_basisprune.search.drawn_samples import drawn_samples
from keras_basisprune.search.fingerprint import fingerprint
from keras_basisprune.search.prepared_by import prepared_by
from keras_basisprune.utils.cannot_reach import CannotReach


@dataclasses.dataclass(frozen=True)
class Cut:
    """A smaller network.

    Attributes:
        plan: The channels that were kept of the network that was cut, and then the
            bases that were kept of the result.
        network: The result: with scales where layers were decomposed, not folded.
        predicted: The loss of the outputs that was predicted for the channels that were
            removed; NaN if nothing was predicted.
        to_channels: How much of the cut was made by channels, as in `Method.split`; NaN
            for methods that don't split a cut.
    """

    plan: Plan
    network: keras.Model
    predicted: float = math.nan
    to_channels: float = math.nan


@dataclasses.dataclass(frozen=True)
class CutOptions:
    """Options of a `Cutter`.

    Attributes:
        cost: What shares are counted in: `"flops"` or `"params"`; or a `LatencyTable`,
            by whose times widths and ranks are chosen.
        limits: The `Limits` of ranks and channels; `None` for no limits.
        compensation: Whether kernels are corrected when channels are removed.
        seed: Integer, for random numbers in the networks that methods prepare, and for
            the samples that are drawn.
        samples: Integer, how many of the samples `cut` fits networks on, by methods
            that can fit them again; `None` for all.
    """

    cost: str | LatencyTable = "flops"
    limits: Limits | None = None
    compensation: bool = True
    seed: int = 0
    samples: int | None = None


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
        recall: A function of a question and a function that finds the answer, which
            returns the answer: for what a `MeasuredPath` measures. `None` to remember
            it only here.
    """

    def __init__(self, model, images, options, train=None, prepared=(), recall=None):
        self.model, self._recall = model, recall
        self._images, self._options, self._train = images, options, train
        self._few = drawn_samples(images, options.samples, options.seed)
        self._made: dict[tuple, Any] = {}
        self._prepared: dict[str, keras.Model] = dict(prepared)
        # Those of the network that was cut last.
        self._values: tuple = (None, None, None)

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
            prepared = self.prepared(keep, method)
            scores = self._scores(prepared, method, keep)
            images = self._few if method.fits else self._images
            with self._remembered(prepared, images):
                plan, network = apply_method(
                    method,
                    prepared,
                    keep=keep,
                    data=images,
                    cost=options.cost,
                    scores=scores,
                    limits=options.limits,
                    compensation=options.compensation,
                )
        except (CannotReach, NothingToDecompose):
            return None
        predicted = math.nan
        if isinstance(scores, MeasuredPath):
            predicted = scores.predicted(plan)
        split = method.split(scores) if callable(method.split) else method.split
        return Cut(plan, network, predicted, math.nan if split is None else split)

    def samples(self, method, again=False) -> int:
        """Returns the number of samples that a method's networks are fitted on.

        Args:
            method: A `Method`.
            again: Whether by `fit_again`, not by `cut`.
        """
        images = self._few if method.fits and not again else self._images
        return len(images[0] if isinstance(images, list) else images)

    def fit_again(self, keep, method, plan) -> keras.Model:
        """Carries out the plan of a cut on all samples.

        Args:
            keep: The share of the cut.
            method: Its `Method`, which fits.
            plan: Its `Plan`.

        Returns:
            A `keras.Model` of the same size.
        """
        options, prepared = {}, self.prepared(keep, method)
        if method.compensates and not self._options.compensation:
            options["compensation"] = False
        with self._remembered(prepared, self._images):
            return method.carry_out(prepared, plan, data=self._images, **options)

    def trade_off(self, methods, shares) -> list[tuple[float, float]]:
        """Predicts what the outputs lose at some shares, if channels are removed.

        Args:
            methods: `Method`s. The first that measures sensitivity is asked.
            shares: Floats in (0, 1); of the FLOPs, if networks are cut by time.

        Returns:
            A list of pairs of a share and a loss; empty if no method measures.
        """
        cost = self._options.cost
        for method in methods:
            if method.train or not method.scores:
                continue
            try:
                scores = self._scores(self.prepared(1.0, method), method, 1.0)
            except (CannotReach, NothingToDecompose):
                continue
            if isinstance(scores, MeasuredPath):
                unit = cost if isinstance(cost, str) else "flops"
                return scores.trade_off(shares, unit, self._options.limits)
        return []

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

    def _scores(self, prepared, method, keep):
        """Returns what `plan` needs; what it measures later on is remembered."""
        if not method.scores:
            return None

        def make():
            scores = method.scores(prepared, data=self._images)
            if self._recall is not None and isinstance(scores, MeasuredPath):
                name = str(fingerprint(method.scores))
                if prepared is not self.model:
                    share = f" at {keep:.6f}" if method.train_each else ""
                    name = f"{name} after {method.name}{share}"
                scores.keep_in(functools.partial(_named, self._recall, name))
            return scores

        return self._once((method.scores, id(prepared)), make)

    def _remembered(self, prepared, images):
        """Enters a block in which what layers of a network make is computed once."""
        *known, values = self._values
        if known[0] is not prepared or known[1] is not images:
            values = RememberedValues(prepared, images)
            self._values = prepared, images, values
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


def _named(recall, name, question, find):
    """Asks a question that names what is asked about."""
    return recall(f"{question}, by {name}", find)
