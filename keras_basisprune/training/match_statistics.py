"""Makes BatchNormalization compute the same in training as in inference."""

import keras
import numpy as np

from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.norm_positions import norm_positions
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg.channel_moments import ChannelMoments


def match_statistics(model, images):
    """Replaces the moving statistics of BatchNormalization, but not its function.

    Outputs of a fitted layer vary less than those it was fitted to, since the fit is
    not exact. In inference BatchNormalization divides by the old deviation; in training
    it would divide by the new, smaller one, and the gain of the fit would be lost in
    the first step. Here mean and variance become those of the inputs, and `gamma` and
    `beta` are changed so that the outputs stay the same:

        gamma' = gamma s' / s,    beta' = beta + gamma (m' - m) / s

    with the moving means `m` and deviations `s = sqrt(variance + epsilon)`. The model
    then computes the same in inference, and nearly the same in training. A layer
    without `gamma` keeps its variance, one without `beta` its mean; for a layer that is
    called several times, the inputs of the first call are used.

    Time is that of a forward pass, memory that of one batch.

    Args:
        model: A Functional or Sequential `keras.Model`, changed in place.
        images: Array of a few hundred samples.
    """
    traced = depth_first(trace(model))
    moments = {
        position: ChannelMoments(traced.calls[position].op.axis)
        for position in norm_positions(traced)
    }
    if not moments:
        return
    size = samples_at_once(model)
    for batch in sample_batches(model, None, images, "images", size):
        values = LiveValues(traced, [batch], list)
        for position, found in moments.items():
            values.advance(position)
            found.add(*values.of(traced.calls[position].input_tensors[0]))
    for position, found in moments.items():
        _match(traced.calls[position].op, found)


def _match(layer, found):
    mean, variance = (
        keras.ops.convert_to_numpy(v).astype(np.float64)
        for v in (layer.moving_mean, layer.moving_variance)
    )
    new_mean = found.mean if layer.center else mean
    new_variance = found.variance if layer.scale else variance
    if not (np.isfinite(new_mean).all() and np.isfinite(new_variance).all()):
        return  # such a model can't be trained; its losses will show it
    gamma = keras.ops.convert_to_numpy(layer.gamma) if layer.scale else 1.0
    deviation = np.sqrt(variance + layer.epsilon)
    if layer.center:
        beta = keras.ops.convert_to_numpy(layer.beta)
        layer.beta.assign(beta + gamma * (new_mean - mean) / deviation)
    if layer.scale:
        layer.gamma.assign(gamma * np.sqrt(new_variance + layer.epsilon) / deviation)
    layer.moving_mean.assign(new_mean)
    layer.moving_variance.assign(new_variance)
