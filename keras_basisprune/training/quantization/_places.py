"""Decides which tensors of a network are rounded, and which of them share a range."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.layers import StaysFloat
from keras_basisprune.training.quantization import _kinds

_AT_ONCE = 32  # samples whose extreme values count once, as in a training step
_ALIKE = 4.0  # a tensor with a range this much smaller than the joint one has its own


@dataclasses.dataclass
class Place:
    """How a tensor is rounded.

    Attributes:
        group: Number of the group of tensors that share a range.
        member: Its number in the group; `None` if it only takes on the range.
        low: Its smallest value.
        high: Its largest value.
        fixed: Whether the range is known; the group then has this tensor only.
        rounded: Whether it is rounded here; otherwise its values are already.
        result: Whether it is an output of the model with a fixed range.
        average: Whether it is averaged from few values of the range.
        from_float: Whether the operation that computes it stays in float.
        given: Whether it is an input of the model.
    """

    group: int
    member: int | None
    low: float
    high: float
    fixed: bool = False
    rounded: bool = True
    result: bool = False
    average: bool = False
    from_float: bool = False
    given: bool = False


def places(traced, extremes, bits, unchanged) -> dict[int, Place]:
    """Finds out where LiteRT rounds.

    Args:
        traced: The `Trace` of a network of single steps.
        extremes: Maps the `id` of each tensor to its extreme values by sample.
        bits: Integer, 8 or 16.
        unchanged: The `id`s of layers that compute in float.

    Returns:
        A dict from the `id` of each rounded tensor to its `Place`.
    """
    return _Planner(traced, extremes, bits, unchanged).plan()


class _Planner:
    def __init__(self, traced, extremes, bits, unchanged):
        self._traced, self._extremes, self._bits = traced, extremes, bits
        self._unchanged = unchanged
        self._readers = traced.consumers()
        self._results = {id(t) for t in keras.tree.flatten(traced.outputs)}
        self._whole = _copied_to(self._results, traced)
        self._found: dict[int, Place] = {}
        self._same: dict[int, int] = {}  # a group that was merged, and into which

    def plan(self):
        for tensor in keras.tree.flatten(self._traced.inputs):
            if _is_float(tensor):
                values = self._extremes[id(tensor)]
                low, high = float(values[:, 0].min()), float(values[:, 1].max())
                self._add(tensor, (low, high), fixed=True)
                self._found[id(tensor)].given = True
        for call in self._traced.calls:
            self._visit(call)
        self._number()
        return self._found

    def _visit(self, call):
        given = [self._found.get(id(t)) for t in call.input_tensors]
        outputs = [t for t in call.output_tensors if _is_float(t)]
        if isinstance(call.op, StaysFloat):
            return
        if id(call.op) in self._unchanged:
            for tensor in outputs:
                self._add(tensor, self._range(tensor))
                self._found[id(tensor)].from_float = True
        elif _kinds.passes(call.op):
            self._pass(outputs, given, rounded=False)
        elif _kinds.averages(call.op):
            pooled = isinstance(call.op, _kinds.POOLINGS)
            self._pass(outputs, given, rounded=True, average=pooled)
        elif _kinds.joins(call.op):
            self._join(call, outputs, given)
        elif (limits := _kinds.fixed_range(call.op)) is not None:
            for tensor in outputs:
                if self._bits == 8:  # others stay in float
                    self._add(tensor, limits, fixed=True)
        elif not self._before_relu(call, outputs):
            for tensor in outputs:
                self._add(tensor, self._range(tensor))

    def _pass(self, outputs, given, rounded, average=False):
        """The outputs take on the range of the first input, if it has one."""
        for tensor in outputs:
            if given and given[0] is not None:
                place = given[0]
                self._found[id(tensor)] = dataclasses.replace(
                    place,
                    member=None,
                    rounded=rounded,
                    average=average,
                    result=False,
                    from_float=False,
                )

    def _join(self, call, outputs, given):
        if any(place is None for place in given):
            return
        low, high = min(p.low for p in given), max(p.high for p in given)
        alike = [
            place
            for tensor, place in zip(call.input_tensors, given, strict=True)
            if not place.fixed
            and (
                _ALIKE * (place.high - place.low) > high - low
                or self._only_read_by(tensor, call)
            )
        ]
        for place in alike[1:]:
            self._merge(place.group, alike[0].group)
        for tensor in outputs:
            if len(alike) == len(given):
                place = Place(alike[0].group, None, low, high, rounded=False)
            else:
                group = alike[0].group if alike else self._new()
                place = Place(group, 0, low, high)
            self._found[id(tensor)] = place

    def _only_read_by(self, tensor, call):
        """Returns whether no other call reads the values of a tensor's range."""
        root = self._root(self._found[id(tensor)].group)
        for other in self._traced.calls:
            read = [self._found.get(id(t)) for t in other.input_tensors]
            if other is call or not any(
                p and self._root(p.group) == root for p in read
            ):
                continue
            made = [self._found.get(id(t)) for t in other.output_tensors]
            if not all(p and self._root(p.group) == root for p in made):
                return False
        return True

    def _before_relu(self, call, outputs):
        """Returns whether only a ReLU reads what the call computes."""
        if len(outputs) != 1 or not _kinds.takes_relu(call.op):
            return False
        readers = self._readers.get(id(outputs[0]), ())
        return (
            id(outputs[0]) not in self._results
            and len(readers) == 1
            and _kinds.is_relu(readers[0].op)
            and id(readers[0].op) not in self._unchanged
        )

    def _add(self, tensor, limits, fixed=False):
        result = fixed and id(tensor) in self._results
        self._found[id(tensor)] = Place(self._new(), 0, *limits, fixed, result=result)

    def _range(self, tensor):
        """The mean, over batches, of the extreme values of a batch; of outputs, all.

        Of numbers that are the answer, none is to be cut off.
        """
        values = self._extremes[id(tensor)]
        if id(tensor) in self._whole:
            return float(values[:, 0].min()), float(values[:, 1].max())
        starts = range(0, max(1, len(values) - _AT_ONCE + 1), _AT_ONCE)
        batches = [values[start : start + _AT_ONCE] for start in starts]
        lows, highs = (
            np.mean([extreme(batch[:, at]) for batch in batches])
            for at, extreme in enumerate((np.min, np.max))
        )
        return float(lows), float(highs)

    def _new(self):
        self._same[len(self._same)] = len(self._same)
        return len(self._same) - 1

    def _root(self, group):
        while self._same[group] != group:
            group = self._same[group]
        return group

    def _merge(self, one, other):
        self._same[self._root(one)] = self._root(other)

    def _number(self):
        """Numbers the members of each group."""
        counts: dict[int, int] = {}
        for place in self._found.values():
            place.group = self._root(place.group)
            if place.member is not None:
                place.member = counts.get(place.group, 0)
                counts[place.group] = place.member + 1


def _is_float(tensor) -> bool:
    return keras.backend.is_float_dtype(tensor.dtype)


def _copied_to(results, traced) -> set[int]:
    """Returns the `id`s of tensors whose numbers become outputs of the model."""
    found = set(results)
    for call in reversed(traced.calls):
        if _kinds.passes(call.op) or _kinds.joins(call.op):
            if any(id(tensor) in found for tensor in call.output_tensors):
                found |= {id(tensor) for tensor in call.input_tensors}
    return found
