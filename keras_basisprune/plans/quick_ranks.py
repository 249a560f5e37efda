"""More bases wherever they cost no time."""

import dataclasses
import math

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import BasisPair, basis_pairs
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.folded_layers import folded_layers
from keras_basisprune.graph.trace import Call, check_model, trace
from keras_basisprune.linalg import descending
from keras_basisprune.measure import LatencyTable
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.utils.check_kind import check_kind

_MULTIPLES = (4, 8, 16)  # what LiteRT's kernels compute at once
_ALIKE = 1.02  # times within 2 % are the same


def quick_ranks(converted: keras.Model, plan: Plan, table: LatencyTable) -> Plan:
    """Raises ranks to what runs fastest on this machine.

    A smaller number of channels can be slower than a larger one, and two layers slower
    than the one that they came from (docs/compress.md). For each layer in the plan
    these are timed as `fold` would make them: its rank, the next multiples of 4, 8 and
    16 above, and the whole layer, undecomposed. The fastest is taken; of those that
    take at most 2 % longer, the one with most bases, which are there for nothing then.
    A layer that is called several times goes by the input of its first call. Bases are
    added strongest first (`|s_j| sigma_j`). No rank is lowered.

    Up to nine layers are timed per decomposed layer, about a second for each kind and
    size that is not in the table yet.

    Args:
        converted: A converted model of full rank, with known input sizes.
        plan: A `Plan` for it, as `allocate` makes it. Its `channels` are passed on.
        table: A `LatencyTable`.

    Returns:
        A `Plan` that names the same layers, with at least the same bases.

    Raises:
        ValueError: If the model is not converted, the plan does not fit it, or sizes of
            its input are unknown.

    Example:

    >>> plan = keras_basisprune.allocate(converted, keep=0.25, cost="flops")
    >>> plan = quick_ranks(converted, plan, LatencyTable("latency.json"))
    """
    check_kind("plan", plan, Plan, "Make one with `allocate`.")
    check_kind("table", table, LatencyTable, "Make one: `LatencyTable()`.")
    check_model("converted", converted)
    traced = trace(converted)
    pairs = basis_pairs(traced, converted.name, "converted")
    _check_channels(plan, groups_of(traced, channel_map(traced)).layers)
    first: dict[int, Call] = {}
    for call in traced.calls:
        first.setdefault(id(call.op), call)
    bases = {}
    for name, kept in plan.bases.items():
        pair = pairs.get(name)
        if pair is None or pair.rank != kept.total:
            raise ValueError(
                "Expected `plan` to count the bases of decomposed layers of "
                f"`converted`. Received: {kept.total} bases of `{name}`, which has "
                f"{pair.rank if pair else 'none'}. Make the plan from this model."
            )
        shape = tuple(first[id(pair.basis)].input_tensors[0].shape[1:])
        bases[name] = _Layer(pair, shape, table).best(kept)
    return Plan(bases=bases, channels=plan.channels)


def _check_channels(plan, layers):
    for name, kept in plan.channels.items():
        found = len(layers[name]) if name in layers else "none"
        if kept.total != found:
            raise ValueError(
                "Expected `plan` to count the channels of layers of `converted`. "
                f"Received: {kept.total} channels of `{name}`, which has {found}. Make "
                "the plan from this model."
            )


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A decomposed layer, and how long it takes at some rank."""

    pair: BasisPair
    shape: tuple[int, ...]  # of its input, without the batch axis
    table: LatencyTable

    def best(self, kept) -> Kept:
        """The kept bases, and those that can come along for nothing."""
        mask = self.pair.mask.copy()
        mask[list(kept.indices)] = True
        rank, most = len(kept.indices), int(mask.sum())
        above = (min(rank - rank % step + step, most) for step in _MULTIPLES)
        times = {count: self._milliseconds(count) for count in {rank, *above, most}}
        limit = min(times.values()) * _ALIKE
        count = max(count for count, time in times.items() if time <= limit)
        strength = self.pair.scaling.strength()
        strength = np.where(mask, strength, -1.0)
        strength[list(kept.indices)] = math.inf
        order = descending(strength, self.pair.rounding)[:count]
        return Kept(tuple(sorted(order)), kept.total)

    def _milliseconds(self, rank) -> float:
        time, shape = 0.0, self.shape
        for layer in folded_layers(self.pair, rank):
            time += self.table.milliseconds(layer, shape)
            shape = tuple(layer.compute_output_shape((1, *shape))[1:])
        return time
