"""Recomputes the statistics of BatchNormalization."""

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.norm_positions import norm_positions
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.linalg.channel_moments import ChannelMoments
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose


def recalibrate(
    model: keras.Model, data: Data, *, verbose: Verbose = "auto"
) -> keras.Model:
    """Sets each BatchNormalization's mean and variance to those of its inputs on data.

    Pruning without `compensate` makes statistics wrong; this corrects them. They are
    computed layer after layer, so that each layer reads the outputs of those before it
    with their new statistics: exact means and variances over all data, in inference,
    not moving averages. The given model is not changed. Time is that of one forward
    pass. Memory does not grow with the number of samples: values that are still needed
    are on disk beyond half a GiB (`data.spilling`).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: A few hundred unlabelled samples: an array, a list or dict of arrays for
            several inputs, or a dataset of batches.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A new Functional `keras.Model`, not compiled. Layers that are called several
        times get the statistics of their first call.

    Raises:
        ValueError: If there is no BatchNormalization, `data` does not fit the model, or
            a value is not finite.

    Example:

    >>> small = keras_basisprune.prune(model, plan)
    >>> small = keras_basisprune.surgery.recalibrate(small, images)
    """
    verbose = check_verbose(verbose)
    check_model("model", model)
    check_finite_weights(model)
    batches = KeptBatches.of(model, data, samples_at_once(model))
    copy = flatten(model)
    traced = depth_first(trace(copy))
    positions = norm_positions(traced)
    if not positions:
        raise ValueError(
            "Expected `model` to have BatchNormalization layers. Received: a model "
            "without any. `fold` merges them into convolutions: recalibrate before it."
        )
    values = LiveValues(traced, batches)
    for position in tqdm(positions, unit="layer", disable=not verbose):
        values.advance(position)
        call = traced.calls[position]
        _set_statistics(call.op, values.of(call.input_tensors[0]))
    return copy


def _set_statistics(layer, batches):
    moments = ChannelMoments(layer.axis)
    for values in batches:
        moments.add(values)
    if not np.isfinite(moments.variance).all():
        raise ValueError(
            "Expected `model` to give finite values on `data`. Received: NaN or "
            f"infinity in `{layer.name}`. Scale the images as for training."
        )
    layer.moving_mean.assign(moments.mean)
    layer.moving_variance.assign(moments.variance)
