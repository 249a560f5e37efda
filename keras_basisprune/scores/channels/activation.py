"""Importance of channels by their mean absolute activation on data."""

import keras
import numpy as np

from keras_basisprune.data.batching.spread import run_spread
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.graph.graph_function import GraphFunction
from keras_basisprune.scores.channels._groups import Groups
from keras_basisprune.scores.channels._probe import ends, rebuild
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data


def activation(
    model: keras.Model,
    data: Data,
    *,
    aggregate: str = "sum",
    normalize: str | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Scores each group of channels by their mean absolute activation on data.

    The mean is over the positions of each sample, and then over all samples with equal
    weight, whatever their size. It is taken of the outputs of each layer that computes
    channels (or has filters for each), after the BatchNormalization and the activation
    that follow it. The model runs in inference. Sums are float64, so that neither batch
    size nor order of the data matter, up to rounding. The cost is one forward pass and
    a copy of the model; one batch is in memory at a time.

    Source: Molchanov, Tyree, Karras, Aila, Kautz 2017, *Pruning Convolutional Neural
    Networks for Resource Efficient Inference* (arXiv:1611.06440), section 2.2; the
    absolute value is for activations that can be negative.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        data: Unlabelled samples: an array, a list or dict of arrays for several inputs,
            a `tf.data.Dataset` or `keras.utils.PyDataset` of batches. Labels in a
            dataset are ignored.
        aggregate: `"sum"`, `"mean"` or `"max"` over the members of a group. Layers that
            are called several times count once, by the mean of their calls; channels
            of one layer that are tied to each other are counted separately.
        normalize: `"mean"` or `"max"` to divide each layer's scores by their mean or
            largest first. `None` (default) doesn't.
        batch_size: Integer, the most samples that are computed at once.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`. `inf` for groups that
        can't be removed.

    Raises:
        ValueError: If an argument is out of its range, `data` does not fit the model,
            an activation is not finite, or the model is subclassed or not built.

    Example:

    >>> scores = keras_basisprune.scores.channels.activation(model, images[:256])
    """
    batch_size = check_whole("batch_size", batch_size)
    groups = Groups(model, aggregate, normalize)
    makers = groups.makers()
    batches = sample_batches(model, None, data, "data", batch_size)
    if not makers:
        return groups.scores("activation", "whose weights are not known")
    probe, owners = _probe(model, groups, makers)
    sums, counts = [0.0] * len(makers), [0] * len(makers)
    for means in _outputs(probe, batches):
        for owner, mean in zip(owners, means, strict=True):
            sums[owner] = sums[owner] + mean.astype(np.float64).sum(axis=0)
            counts[owner] += len(mean)
    for calls, total, count in zip(makers, sums, counts, strict=True):
        groups.add(calls[0], total / count)
    return groups.scores("activation", "whose weights are not known")


def _probe(model, groups, makers):
    """Returns a model of the mean absolute outputs per sample, and their layers."""
    wanted = ends(groups.traced, makers)
    outputs, owners = [], []

    def change(before, after, free):
        if id(before) in wanted:
            axis = groups.channels.tensors[id(before)].axis
            outputs.append(_mean_size(after, axis, free("mean_size")))
            owners.append(wanted[id(before)])
        return after

    inputs, _ = rebuild(model, groups.traced, change)
    return keras.Model(keras.tree.flatten(inputs), outputs), owners


def _mean_size(tensor, axis, name):
    """Returns mean absolute values per sample and channel: `(batch, channels)`."""
    dtype = keras.backend.result_type(tensor.dtype, "float32")  # no overflow in half
    others = [a for a in range(1, len(tensor.shape)) if a != axis]

    def mean_size(values):
        sizes = keras.ops.abs(keras.ops.cast(values, dtype))
        return keras.ops.mean(sizes, axis=others) if others else sizes

    shape = tensor.shape[0], tensor.shape[axis]
    return GraphFunction(mean_size, shape, dtype, name)(tensor)


def _outputs(probe, batches):
    """Yields the outputs of each batch.

    A smaller batch is padded to the size of the first one, since TensorFlow would
    compile the probe again for it.
    """
    size = 0
    for arrays in batches:
        count = len(arrays[0])
        size = size or count
        missing = max(0, size - count)
        if missing:
            arrays = [np.concatenate([x, *[x[-1:]] * missing]) for x in arrays]
        outputs = keras.tree.flatten(run_spread(probe, arrays))
        yield [output[:count] for output in outputs]
