"""Sums up the outputs of a model's layers on data."""

from typing import Any

import keras
from tqdm.auto import tqdm

from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.statistics_reader import StatisticsReader
from keras_basisprune.scores.summary_on_beam import summary_on_beam
from keras_basisprune.scores.to_decompose import to_decompose
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose


def summarize_outputs(
    model: keras.Model,
    data: Data,
    *,
    include: Any = None,
    exclude: Any = None,
    verbose: Verbose = "auto",
) -> OutputStatistics:
    """Computes means and covariances of the outputs of the layers to decompose.

    All that `convert` needs of data for the basis `"activations"`, and `scores.bases`
    and `select_bases` for their spectra, is in there: pass it as their `data`.
    Statistics of several parts of the data can be added.

    Time and memory are those of `scores.bases`, except for the decomposition, and with
    all sums in float64. A `data.BeamSource` is read in one pass, for all layers at
    once; `8 cout^2` bytes travel per layer and bundle of shards.

    Args:
        model: A built Functional or Sequential `keras.Model`, not converted.
        data: Unlabelled samples, as in `convert`, or a `data.BeamSource`.
        include: What to decompose, as in `convert`.
        exclude: What not to decompose, as in `convert`.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        An `OutputStatistics`.

    Raises:
        ValueError: As `convert` raises it.

    Example:

    >>> statistics = keras_basisprune.scores.summarize_outputs(model, images)
    >>> converted = keras_basisprune.convert(model, 0.95, data=statistics)
    """
    verbose = check_verbose(verbose)
    found = to_decompose(model, include, exclude)
    if isinstance(data, BeamSource):
        return summary_on_beam(model, found, data)
    reader = StatisticsReader(model, found)
    batches = sample_batches(model, None, data, "data", samples_at_once(model))
    reader.read(tqdm(batches, unit="batch", disable=not verbose))
    return reader.statistics()
