"""Draws the positions of feature maps that layers are fitted on."""

import math

import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.sampled_positions import sampled_positions

# The most positions, over all samples, that a layer is fitted on.
SAMPLES = 30_000
# Largest `kh kw cin` for which a whole kernel is fitted: time grows with its cube.
LARGEST = 4608


class MapPositions:
    """Positions in the maps of one batch, drawn for each sample from its content.

    The same sample gets the same positions in every batch, and in all maps of one size.

    Args:
        arrays: List of arrays, one per input of the model: the batch.
        count: Integer, the most positions per map.
    """

    def __init__(self, arrays, count):
        self._jitter = position_jitter(arrays, count)

    @staticmethod
    def for_fitting(batches) -> list["MapPositions"]:
        """Draws positions for several batches, about 30,000 in all samples together.

        Args:
            batches: `KeptBatches`, or a list of lists of arrays, one per input of the
                model.

        Returns:
            A list of `MapPositions`, one per batch, with at least one position per map.
        """
        count = MapPositions.most(sum(KeptBatches.made_of(batches).sizes))
        return [MapPositions(arrays, count) for arrays in batches]

    @staticmethod
    def most(samples) -> int:
        """Returns the most positions per map that layers are fitted on.

        Args:
            samples: Integer, the number of samples, at least 1.
        """
        return max(1, math.ceil(SAMPLES / samples))

    def of_outputs(self, layer, inputs) -> np.ndarray:
        """Returns positions in a layer's output map, as `patches` takes them."""
        return self.of_map(output_positions(layer, inputs.shape))

    def of_map(self, size) -> np.ndarray:
        """Returns positions in maps of a size, as `sampled_positions` returns them."""
        return sampled_positions(size, self._jitter)


def take_positions(maps, positions) -> np.ndarray:
    """Picks positions out of maps.

    Args:
        maps: Array of shape `(samples, size, channels)`.
        positions: What `MapPositions` returned for this size.

    Returns:
        An array of shape `(samples, count, channels)`.
    """
    if positions.ndim == 1:
        return maps[:, positions]
    return np.take_along_axis(maps, positions[..., None], axis=1)
