"""What a model costs when some groups of its channels have left."""

import math
import operator

import numpy as np

from keras_basisprune.graph.channel_map import ChannelMap
from keras_basisprune.graph.rules import KeptChannels, Shapes, rule_of
from keras_basisprune.graph.trace import Trace, is_from_keras
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure.call_flops import call_flops


class ChannelCosts:
    """Parameters, FLOPs and channels of a model, as a function of what is alive.

    Costs are those that `cost` measures after `prune`: each layer's rule is asked
    which shapes its weights would have, and these are counted. No weight of a layer of
    Keras is read. One evaluation takes time linear in the number of channels of all
    layers; what is known of a layer with so many channels is not asked for again.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        kind: `"flops"`, `"params"` or `"channels"` (the number of groups that may
            leave).

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

    def __call__(self, alive) -> float:
        """The cost when the groups where `alive` (a boolean array) is true are left."""
        if self._only_channels:
            return float(np.count_nonzero(alive & self._free))
        return float(self.fixed + sum(part(alive) for part in self.parts))

    def marginal(self) -> np.ndarray:
        """What is saved by each group that may leave when it does, the first of all.

        Returns:
            A float64 array of shape `(groups,)`; 0 for those that can't leave.
        """
        if self._only_channels:
            return self._free.astype(np.float64)
        each = np.zeros(len(self._free))
        for part in self.parts:
            part.add_marginal(each, self._free)
        return each


def _flops(traced):
    """Each call, and its FLOPs as a function of shapes."""
    for call in traced.calls:
        if call_flops(call):
            yield call, lambda shapes, call=call: call_flops(call, shapes)


def _params(traced):
    """The first call of each layer with weights, and their number."""
    seen: set[int] = set()
    for call in traced.calls:
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
    """The part of the cost that one call has.

    It depends on how many channels its tensors have, not on which.
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
        """Whether channels of it may leave."""
        return any(free[of].any() for of in self.ends)

    def __call__(self, alive) -> int:
        counts = tuple(int(np.count_nonzero(alive[of])) for of in self.ends)
        if counts not in self._known:
            self._known[counts] = self._measured(alive) if all(counts) else 0
        return self._known[counts]

    def _measured(self, alive):
        kept = [
            [self._kept(tensor, alive) for tensor in side]
            for side in (self._call.input_tensors, self._call.output_tensors)
        ]
        _, weights = rule_of(self._call.op).cut(self._call.op, *kept)
        sides = self._call.input_tensors, self._call.output_tensors
        inputs, outputs = (
            tuple(map(_cut_shape, *pair)) for pair in zip(sides, kept, strict=True)
        )
        changed = {path: np.shape(weight) for path, weight in weights.items()}
        return self._amount(Shapes(inputs, outputs, changed))

    def _kept(self, tensor, alive):
        kept = self._channels.kept(tensor, alive)
        op = self._call.op
        if kept is None or not (
            is_from_keras(type(op)) or type(op) is BasisScalingConv
        ):
            return kept
        return _Unread(kept.indices, kept.total, kept.axis, kept.rank)

    def add_marginal(self, each, free):
        """Adds what each free group would save to an array of shape `(groups,)`."""
        present = np.unique(np.concatenate(self.ends))
        counts = [
            np.bincount(np.searchsorted(present, of), minlength=len(present))
            for of in self.ends
        ]
        present, counts = present[free[present]], np.array(counts)[:, free[present]]
        _, first, alike = np.unique(
            counts, axis=1, return_index=True, return_inverse=True
        )
        alive = np.ones(len(each), bool)
        whole, saved = self(alive), np.zeros(len(first))
        for number, group in enumerate(present[first]):
            alive[group] = False
            saved[number] = whole - self(alive)
            alive[group] = True
        each[present] += saved[alike.reshape(-1)]


class _Unread(KeptChannels):
    """`KeptChannels` for the sake of shapes: weights are neither read nor copied."""

    def take(self, weight, axis=-1) -> np.ndarray:
        """Zeros, as many as are kept."""
        shape = list(np.shape(weight))
        shape[axis] = len(self)
        return np.zeros(shape, np.float32)


def _cut_shape(tensor, kept) -> tuple:
    shape = list(tensor.shape)
    if kept is not None:
        shape[kept.axis] = len(kept)
    return tuple(shape)
