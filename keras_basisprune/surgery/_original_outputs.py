"""What layers make in the model that is pruned."""

import numpy as np

from keras_basisprune.data.spilled_list import SpilledList
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import sample_folds
from keras_basisprune.surgery.linear_call import LinearCall


class OriginalOutputs:
    """What the layers of a model make, at some positions of each sample.

    They are computed in one pass, batch by batch, and are on disk beyond some memory
    (`data.spilling`): 30,000 numbers at most per output channel.

    Args:
        traced: The model's `Trace`.
        batches: `KeptBatches`.
        dtype: Float32 or float64, in which products are computed.
        drawn: Pair of a list of `MapPositions` and a list of folds, one per batch;
            `None` to draw them for these batches.
        only: Positions of the calls that are needed; `None` for all.

    Attributes:
        positions: List of `MapPositions`, one per batch.
        folds: List of integer arrays, one per batch: the fold of each sample.
        sizes: Maps the positions of the first calls of layers that can be fitted to the
            sizes of their maps, one per batch.
        made: Maps them to what the layers make of the patches, without bias.
    """

    def __init__(self, traced, batches, dtype=np.float32, drawn=None, only=None):
        old, self.dtype = depth_first(traced), dtype
        if drawn is None:
            drawn = MapPositions.for_fitting(batches), sample_folds(batches)
        self.positions, self.folds = drawn
        fitted = first_calls(old.calls)
        linear = {
            key: LinearCall(old.calls[key])
            for key in fitted
            if only is None or key in only
        }
        matrices = {key: one.matrix.astype(dtype) for key, one in linear.items()}
        self.sizes: dict[int, list[int]] = {key: [] for key in linear}
        self.made = {key: SpilledList() for key in linear}
        for arrays, positions in zip(batches, self.positions, strict=True):
            live = LiveValues(old, [arrays], list)
            for key, one in linear.items():
                live.advance(key)
                (values,) = live.of(one.tensor)
                size = output_positions(one.op, values.shape)
                patches = one.patches(values, positions.of_map(size))
                self.sizes[key].append(size)
                self.made[key].append(patches.astype(dtype) @ matrices[key])


def first_calls(calls) -> list[int]:
    """Returns the positions of the first calls of layers that can be fitted."""
    first: dict[int, int] = {}
    for position, call in enumerate(calls):
        if LinearCall.can_be_fitted(call.op):
            first.setdefault(id(call.op), position)
    return list(first.values())
