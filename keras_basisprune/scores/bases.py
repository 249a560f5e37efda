"""Importance of bases, before a model is converted."""

from typing import Any

import keras
import numpy as np

from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.scores.activation_bases import activation_bases
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.statistics_bases import statistics_bases
from keras_basisprune.scores.summary_on_beam import summary_on_beam
from keras_basisprune.scores.to_decompose import (
    spectrum,
    to_decompose,
    twin_of,
    weight_basis,
)
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose


def bases(
    model: keras.Model,
    data: Data = None,
    *,
    include: Any = None,
    exclude: Any = None,
    verbose: Verbose = "auto",
) -> dict[str, np.ndarray]:
    """Computes singular values of every layer that `convert` would decompose.

    They show how many bases a layer needs, and equal those of the converted model,
    which is not built. Without `data`, they are those of the kernels. With `data`, they
    are standard deviations of the outputs along their principal components,
    `sqrt(lambda)` (Zhang, Zou, He, Sun 2015, arXiv:1505.06798, section 3.1).

    Time for weights is that of one singular value decomposition per layer, `O(n cout
    min(n, cout))` for a kernel of `n = kh kw cin` rows; for data that of one forward
    pass, of a product `O(cout^2)` per sampled position (64 per image and layer at
    most), and of one eigen-decomposition per layer. Memory is that of a copy of the
    model; it does not depend on the number of images.

    Args:
        model: A built Functional or Sequential `keras.Model`, not converted.
        data: Unlabelled samples, as in `convert`; a few hundred images are enough. Or
            an `OutputStatistics` of them, or a `data.BeamSource`. `None` for the
            weights.
        include: What to decompose, as in `convert`.
        exclude: What not to decompose, as in `convert`.
        verbose: Whether to show a progress bar while data is read: `"auto"` and 1 do,
            0 doesn't.

    Returns:
        A dict from the name of each such layer (in a flat model) to a float64 array of
        shape `(min(n, cout),)`, in descending order.

    Raises:
        ValueError: As `convert` raises it.

    Example:

    >>> for name, values in keras_basisprune.scores.bases(model, images).items():
    ...     print(name, np.cumsum(values**2) / np.sum(values**2))
    """
    verbose = check_verbose(verbose)
    return spectra(model, to_decompose(model, include, exclude), data, verbose)


def spectra(model, found, data=None, verbose=False) -> dict[str, np.ndarray]:
    """Returns what `bases` returns, for a `ToDecompose`."""
    if isinstance(data, BeamSource):
        data = summary_on_beam(model, found, data)
    if data is None:
        low_ranks = {}
    elif isinstance(data, OutputStatistics):
        low_ranks = statistics_bases(model, found, twin_of(model, found), data)
    else:
        batches = sample_batches(model, None, data, "data", samples_at_once(model))
        twin = twin_of(model, found)
        low_ranks = activation_bases(twin, found.layers, batches, verbose)
    return {
        found.names[key]: spectrum(
            layer, low_ranks.pop(key, None) or weight_basis(layer)
        )
        for key, layer in found.layers.items()
    }
