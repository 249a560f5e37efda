"""Costs of a model without some groups of its channels."""

import math
import operator

import numpy as np

from keras_basisprune.graph.channel_map import ChannelMap
from keras_basisprune.graph.rules import KeptChannels, Shapes, rule_of
from keras_basisprune.graph.trace import Trace, is_from_keras
from keras_basisprune.graph.whole_calls import whole_calls
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure.call_flops import call_flops


class ChannelCosts:
    """Parameters, FLOPs or channels of a model, as a function of the kept groups.

    Costs are those that `cost` counts after `prune`: each layer's rule says which
    shapes its weights would have, and these are counted. No weight of a Keras layer is
    read. One evaluation takes time linear in the number of channels of all layers; the
    cost of a layer with a given number of channels is computed only once.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        kind: `"flops"`, `"params"` or `"channels"` (the number of groups that may be
            removed).

    Raises:
        ValueError: If `kind` is `"flops"` and sizes of the model's input are unknown.
    """

    def __init__(self, traced: Trace, channels: ChannelMap, kind):
        self._free = np.ones(channels.count, bool)
        self._free[list(channels.pinned)] = False
        self._only_channels = kind == "channels"
        self.fixed = 0  # what does not depend on what is alive
        self.parts: list[_Part] = []
        amounts = {"flops": _flops, "params": _params, "channels": _nothing}
        for call, amount in amounts[kind](traced):
            part = _Part(call, channels, amount)
            if part.may_change(self._free):
                self.parts.append(part)
            else:
                self.fixed += amount(Shapes.from_call(call))

    def __call__(self, kept) -> float:
        """Returns the cost with the groups where `kept` (a boolean array) is true."""
        if self._only_channels:
            return float(np.count_nonzero(kept & self._free))
        return float(self.fixed + sum(part(kept) for part in self.parts))

    def marginal(self, kept=None) -> np.ndarray:
        """Returns what each group costs, if it is the only one that changes.

        Args:
            kept: Boolean array of the groups that are there: a group's cost is what is
                saved by removing it or, where it is not there, added by keeping it.
                Defaults to all.

        Returns:
            A float64 array of shape `(groups,)`; 0 for groups that can't be removed.
        """
        if self._only_channels:
            return self._free.astype(np.float64)
        kept = np.ones(len(self._free), bool) if kept is None else kept.copy()
        each = np.zeros(len(self._free))
        for part in self.parts:
            part.add_marginal(each, self._free, kept)
        return each


def _flops(traced):
    """Yields each call, and its FLOPs as a function of shapes."""
    for call in traced.calls:
        if call_flops(call):
            yield call, lambda shapes, call=call: call_flops(call, shapes)


def _params(traced):
    """Yields a call of each layer with weights, and a function that counts."""
    seen: set[int] = set()
    for call in whole_calls(traced).values():
        weights = getattr(call.op, "weights", ())
        weights = [weight for weight in weights if id(weight) not in seen]
        seen |= {id(weight) for weight in weights}
        if weights:
            yield call, _counter(call.op, weights)


def _counter(layer, weights):
    def count(shapes):
        changed = {
            id(operator.attrgetter(path)(layer)): shape
            for path, shape in shapes.changed.items()
        }
        return sum(math.prod(changed.get(id(w), w.shape)) for w in weights)

    return count


def _nothing(traced):
    return ()


class _Part:
    """The cost of one call.

    It depends on how many channels its tensors have, not on which ones.
    """

    def __init__(self, call, channels, amount):
        self._call, self._channels, self._amount = call, channels, amount
        tensors = [*call.input_tensors, *call.output_tensors]
        found = (channels.of(tensor) for tensor in tensors)
        self.ends = [of for of in found if of is not None and len(of)]
        self._known: dict[tuple, int] = {}

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self._call.op.name

    def may_change(self, free) -> bool:
        """Returns whether some of its channels may be removed."""
        return any(free[of].any() for of in self.ends)

    def __call__(self, kept) -> int:
        counts = tuple(int(np.count_nonzero(kept[of])) for of in self.ends)
        if counts not in self._known:
            self._known[counts] = self._measured(kept) if all(counts) else 0
        return self._known[counts]

    def _measured(self, kept):
        cuts = [
            [self._kept(tensor, kept) for tensor in side]
            for side in (self._call.input_tensors, self._call.output_tensors)
        ]
        _, weights = rule_of(self._call.op).cut(self._call.op, *cuts)
        sides = self._call.input_tensors, self._call.output_tensors
        inputs, outputs = (
            tuple(map(_cut_shape, *pair)) for pair in zip(sides, cuts, strict=True)
        )
        changed = {path: np.shape(weight) for path, weight in weights.items()}
        return self._amount(Shapes(inputs, outputs, changed))

    def _kept(self, tensor, groups):
        kept = self._channels.kept(tensor, groups)
        op = self._call.op
        if kept is None or not (
            is_from_keras(type(op)) or type(op) is BasisScalingConv
        ):
            return kept
        return _Unread(kept.indices, kept.total, kept.axis, kept.rank)

    def add_marginal(self, each, free, kept):
        """Adds the cost of each free group to an array `(groups,)`.

        `kept` (a boolean array) is changed for a moment.
        """
        present = np.unique(np.concatenate(self.ends))
        counts = [
            np.bincount(np.searchsorted(present, of), minlength=len(present))
            for of in self.ends
        ]
        counts = np.array([*counts, kept[present]])[:, free[present]]
        present = present[free[present]]
        _, first, alike = np.unique(
            counts, axis=1, return_index=True, return_inverse=True
        )
        now, changed = self(kept), np.zeros(len(first))
        for number, group in enumerate(present[first]):
            kept[group] = not kept[group]
            changed[number] = abs(now - self(kept))
            kept[group] = not kept[group]
        each[present] += changed[alike.reshape(-1)]


class _Unread(KeptChannels):
    """`KeptChannels` for shapes alone: weights are neither read nor copied."""

    def take(self, weight, axis=-1) -> np.ndarray:
        """Returns zeros in the shape of the kept weights."""
        shape = list(np.shape(weight))
        shape[axis] = len(self)
        return np.zeros(shape, np.float32)


def _cut_shape(tensor, kept) -> tuple:
    shape = list(tensor.shape)
    if kept is not None:
        shape[kept.axis] = len(kept)
    return tuple(shape)
