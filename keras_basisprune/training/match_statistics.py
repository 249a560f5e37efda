"""Makes inference and training of BatchNormalization mean the same."""

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
    """Replaces the moving statistics of BatchNormalization, the function unchanged.

    A layer that was fitted to what it put out before varies less than that, where it
    can't follow. In inference BatchNormalization divides by the old deviation; in
    training it would divide by the new, smaller one, and what the fit has won would be
    lost in the first step. Here mean and variance become those of the inputs, `gamma`
    and `beta` make up for it:

        gamma' = gamma s' / s,    beta' = beta + gamma (m' - m) / s

    with the moving means `m` and deviations `s = sqrt(variance + epsilon)`. So the
    model computes the same in inference, and nearly that in training. A layer without
    `gamma` keeps its variance, one without `beta` its mean; of one that is called
    several times, the inputs of the first call count.

    Time is that of a forward pass; memory, of one batch.

    Args:
        model: A Functional or Sequential `keras.Model`, changed in place.
        images: Array of some hundred samples.
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
        values = LiveValues(traced, [batch])
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
        return  # such a model can't be trained; its losses will say so
    gamma = keras.ops.convert_to_numpy(layer.gamma) if layer.scale else 1.0
    deviation = np.sqrt(variance + layer.epsilon)
    if layer.center:
        beta = keras.ops.convert_to_numpy(layer.beta)
        layer.beta.assign(beta + gamma * (new_mean - mean) / deviation)
    if layer.scale:
        layer.gamma.assign(gamma * np.sqrt(new_variance + layer.epsilon) / deviation)
    layer.moving_mean.assign(new_mean)
    layer.moving_variance.assign(new_variance)
