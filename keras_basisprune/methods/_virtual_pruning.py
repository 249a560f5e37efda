"""A network that channels leave without its being built anew."""

import collections
import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.rewrite import rewrite
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.trace import Call
from keras_basisprune.methods._virtual_reader import VirtualReader
from keras_basisprune.surgery.linear_call import LinearCall


class VirtualPruning:
    """Runs a network as if some of its channels had left, layer after layer.

    The network is copied once. What ends channels (multiplies them by a kernel, say)
    reads zeros in place of those that have left, and kernels that can be fitted are
    corrected in place. That is what `compensate` makes, but that a layer is corrected
    when channels that it reads are decided on, and not when those before it change
    later.

    Args:
        model: A `keras.Model`.
        traced: Its `Trace`.
        channels: Its `ChannelMap`.
        batches: A list of lists of arrays that layers are fitted on.
        judged: The same, that the network is judged on.
        ridge: Float, as in `compensate`.

    Attributes:
        alive: Boolean array: which groups of channels are left.
    """

    def __init__(self, model, traced, channels, batches, judged, ridge):
        became: dict[int, list[Call]] = {}
        old = depth_first(traced)
        self._copy = rewrite(model, lambda op, name: None, traced, None, became)
        calls = [became[id(call)][0] for call in old.calls]
        self._old = old
        self.alive = np.ones(channels.count, bool)
        self._ends = [_ended(call, channels) for call in old.calls]
        inputs = keras.tree.pack_sequence_as(old.inputs, self._copy.inputs)
        new = dataclasses.replace(old, inputs=inputs, calls=calls)
        self._readers = self._made_readers(new, channels, ridge)
        outputs = self._copy.outputs
        last = Call(keras.layers.Identity(), tuple(outputs), {}, ())  # keeps them
        masked = map(self._masked, old.calls, calls, self._ends)
        self._new = dataclasses.replace(new, calls=[*masked, last])
        self._channels, self._batches, self._judged = channels, batches, judged
        self._positions = MapPositions.for_fitting(batches)
        self._outputs = outputs
        self.reset()

    def reset(self):
        """Lets all channels come back, and begins anew."""
        self.alive[:] = True
        for reader in self._readers.values():
            reader.reset()
        self._before = LiveValues(self._old, self._batches)
        self._after = LiveValues(self._new, self._batches)
        self._seen = self._after
        if self._judged is not self._batches:
            self._seen = LiveValues(self._new, self._judged)

    def first_end(self, groups) -> int:
        """The position of the first call in which some groups end."""
        return min(self._ending(groups), default=len(self._old.calls))

    def enter(self, groups):
        """Goes on to where groups end, and learns what reads them.

        Args:
            groups: Integer array. They must not end before those that were entered
                before.
        """
        position = self.first_end(groups)
        for values in (self._before, self._after, self._seen):
            values.advance(position)
        ending = [p for p in self._ending(groups) if p in self._readers]
        self._now = [self._readers[p] for p in ending]
        before, after = self._before.copy(), self._after.copy()
        for reader, place in zip(self._now, ending, strict=True):
            before.advance(place)
            after.advance(place)
            reader.learn(
                before.of(reader.old.tensor),
                after.of(reader.new.tensor),
                self._positions,
            )

    def leave(self, groups, gone):
        """Of groups that were entered, lets some leave, and all others come back.

        Args:
            groups: Integer array of all of them.
            gone: Integer array of those that leave.
        """
        self.alive[groups] = True
        self.alive[gone] = False
        for reader in self._now:
            reader.correct(self.alive)

    def answers(self) -> np.ndarray:
        """What the network makes of the images that it is judged on."""
        seen = self._seen.copy()
        seen.advance(len(self._old.calls))
        return np.concatenate([np.asarray(part) for part in seen.of(self._outputs[0])])

    def decide(self):
        """Lets go of what was learned for the groups that were entered last."""
        for reader in self._now:
            reader.forget()

    def _ending(self, groups) -> list[int]:
        found = np.zeros(len(self.alive), bool)
        found[groups] = True
        return [
            position
            for position, ended in enumerate(self._ends)
            if any(found[of].any() for of in ended.values())
        ]

    def _made_readers(self, new, channels, ridge) -> dict[int, VirtualReader]:
        """The layers that can be corrected, by the position of their first call."""
        consumers, found, seen = new.consumers(), {}, set()
        counts = collections.Counter(id(call.op) for call in new.calls)
        pairs = zip(self._old.calls, new.calls, self._ends, strict=True)
        for position, (old, call, ended) in enumerate(pairs):
            if id(call.op) in seen or not ended:
                continue
            seen.add(id(call.op))
            of = channels.of(old.input_tensors[0])
            if of is None or not LinearCall.can_be_fitted(call.op):
                continue
            axis = channels.tensors[id(old.input_tensors[0])].axis
            linear = LinearCall(call, consumers, counts)
            if linear.settable(linear.matrix):
                reader = VirtualReader(LinearCall(old), linear, of, axis, ridge)
                found[position] = reader
        return found

    def _masked(self, old, call, ended):
        if not ended:
            return call
        return dataclasses.replace(call, op=_Masked(old, call.op, ended, self))


def _ended(call, channels) -> dict[int, np.ndarray]:
    """The groups that end in a call, by the place of the tensor among its inputs."""
    made = [channels.tensors.get(id(tensor)) for tensor in call.output_tensors]
    passed = [ids for known in made if known is not None for ids in known.ids]
    found = {}
    for place, tensor in enumerate(call.input_tensors):
        known = channels.tensors.get(id(tensor))
        if known is None:
            continue
        mixed = call.op.name in channels.mixing
        ended = np.ones(len(known), bool) if mixed else ~np.isin(known.ids, passed)
        if ended.any():
            found[place] = np.unique(channels.groups[known.ids[ended]])
    return found


class _Masked:
    """An operation that reads zeros in place of channels that have left."""

    def __init__(self, old, op, ended, pruning):
        self.name, self._op, self._pruning = op.name, op, pruning
        leaves = keras.tree.flatten((old.args, old.kwargs))
        symbolic = [isinstance(leaf, keras.KerasTensor) for leaf in leaves]
        places = np.flatnonzero(symbolic)
        self._ended = {int(places[place]): of for place, of in ended.items()}
        self._tensors = {place: leaves[place] for place in self._ended}
        self._zeros = _Zeros()

    def __call__(self, *args, **kwargs):
        leaves = keras.tree.flatten((args, kwargs))
        for place, of in self._ended.items():
            if not self._pruning.alive[of].all():
                leaves[place] = self._zeros(leaves[place], self._factor(place))
        args, kwargs = keras.tree.pack_sequence_as((args, kwargs), leaves)
        if isinstance(self._op, keras.layers.Layer):
            kwargs["training"] = False
        return self._op(*args, **kwargs)

    def _factor(self, place):
        tensor, channels = self._tensors[place], self._pruning._channels
        kept = channels.kept(tensor, self._pruning.alive)
        shape = [-1 if axis == kept.axis else 1 for axis in range(kept.rank)]
        return np.isin(np.arange(kept.total), kept.indices).reshape(shape)


class _Zeros(keras.layers.Layer):
    """Multiplies by zeros and ones, and passes the mask of a sequence on."""

    def __init__(self):
        super().__init__(autocast=False)
        self.supports_masking = True

    def call(self, inputs, factor):
        return inputs * keras.ops.cast(factor, inputs.dtype)
