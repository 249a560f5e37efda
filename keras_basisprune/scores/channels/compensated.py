"""Importance of channels by what is lost when the others make up for them."""

import keras
import numpy as np

from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.graph.channels import channel_map
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.depthwise_half import depthwise_half
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.sampled_positions import sampled_positions
from keras_basisprune.linalg import Moments, removal_order
from keras_basisprune.trace import trace

_POSITIONS = 64  # per image and map, at most
_LARGEST = 8192  # channels of an input whose covariance is taken
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


def compensated(model, data, ridge=0.01, batch_size=32) -> np.ndarray:
    """Scores each group of channels by the loss that compensation leaves.

    For every convolution and dense layer, input channels leave one after the other,
    always the one for which the others can stand in best, and the rows of the others
    are corrected by least squares (`linalg.removal_order`). A channel's score is the
    squared error of the layer's outputs from when it leaves on, as a share of their
    variance; a group's is the sum over all layers that read it. So a threshold on the
    scores is a tolerance on the reconstruction error of every layer, and
    `select_channels` finds the tolerance for a budget; `round_to` sets the step.

    Inputs of more than 8,192 channels (a dense layer behind `Flatten`) are judged
    without compensation. Time is that of a forward pass, and of `O(n^3)` per layer with
    `n` input channels; memory one batch through the model and the sum of `n^2`.

    Source: *Compensation-aware pruning* (CaP, arXiv:2108.13728).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: Unlabelled samples: an array, a list or dict of arrays for several inputs,
            or a dataset of batches. Some hundred images are enough.
        ridge: Float > 0, relative to the mean variance of a layer's inputs.
        batch_size: Integer, the most samples that are computed at once.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`. `inf` for groups that
        can't leave, or that no such layer reads.

    Raises:
        ValueError: If an argument is out of its range, `data` does not fit the model, a
            value is not finite, or the model is subclassed or not built.

    Example:

    >>> scores = keras_basisprune.scores.channels.compensated(model, images[:500])
    >>> plan = keras_basisprune.select_channels(model, scores, keep=0.5)
    >>> small = keras_basisprune.compensate(model, plan, images[:500])
    """
    if not ridge > 0:
        raise ValueError(
            "Expected `ridge` to be a positive float. "
            f"Received: ridge={ridge}. Pass, for example, `ridge=0.01`."
        )
    traced = trace(model)
    channels = channel_map(traced)
    free = np.ones(channels.count, bool)
    free[list(channels.pinned)] = False
    first = {id(call.op): call for call in reversed(depth_first(traced).calls)}
    readers = [call for call in first.values() if _reads(call, channels, free)]
    moments = _moments(model, traced, readers, data, batch_size)
    scores, read = np.zeros(len(free)), np.zeros(len(free), bool)
    for call in readers:
        of = channels.of(call.input_tensors[0])
        np.add.at(scores, of, _losses(call.op, moments.pop(id(call.op)), ridge))
        read[of] = True
    return np.where(free & read, scores, np.inf)


def _reads(call, channels, free) -> bool:
    """Whether a call mixes channels of which some may leave."""
    op = call.op
    plain = type(op) in _CONVOLUTIONS and op.groups == 1
    if not (plain or type(op) in (*_SEPARABLE, keras.layers.Dense)):
        return False
    of = channels.of(call.input_tensors[0])
    kernel = op.pointwise_kernel if type(op) in _SEPARABLE else op.kernel
    deep = getattr(op, "depth_multiplier", 1) > 1
    return (
        of is not None and len(of) == kernel.shape[-2] and not deep and free[of].any()
    )


def _moments(model, traced, readers, data, batch_size):
    """Means and covariances of what each layer reads, by the `id` of the layer."""
    inputs = [id(t) for t in keras.tree.flatten(traced.inputs)]
    wanted = {id(call.input_tensors[0]) for call in readers} - set(inputs)
    maps = {id(call.op): _mapping(call.op) for call in readers}
    found: dict[int, Moments] = {}
    for arrays in sample_batches(model, None, data, "data", batch_size):
        jitter = position_jitter(arrays, _POSITIONS)
        values = dict(zip(inputs, ([array] for array in arrays), strict=True))
        values |= run_calls(traced.calls, values, wanted)
        for call in readers:
            rows = maps[id(call.op)](values[id(call.input_tensors[0])][0])
            positions = sampled_positions(rows.shape[1], jitter)
            if positions.ndim == 2:
                positions = positions[..., None]
                rows = np.take_along_axis(rows, positions, axis=1)
            size = rows.shape[-1]
            known = found.setdefault(
                id(call.op), Moments(size) if size <= _LARGEST else _Variances(size)
            )
            known.add(rows.reshape(-1, size))
    for call in readers:
        found[id(call.op)].check(call.op.name)
    return found


def _mapping(op):
    """A function of a layer's inputs: what its kernel mixes, `(batch, places, n)`."""
    first = getattr(op, "data_format", "") == "channels_first"
    half = None
    if type(op) in _SEPARABLE:
        half = depthwise_half(op, op.name)
        half.build(op.input.shape)
        half.kernel.assign(op.depthwise_kernel)

    def rows(inputs):
        if half is not None:
            inputs = keras.ops.convert_to_numpy(half(inputs))
        if first:
            inputs = np.moveaxis(inputs, 1, -1)
        return inputs.reshape(len(inputs), -1, inputs.shape[-1]).astype(np.float64)

    return rows


def _losses(op, moments, ridge) -> np.ndarray:
    """For each input channel, the error from when it leaves on, relative."""
    kernel = op.pointwise_kernel if type(op) in _SEPARABLE else op.kernel
    kernel = keras.ops.convert_to_numpy(kernel).astype(np.float64)
    rows = np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    if isinstance(moments, _Variances):
        cost = moments.variance * (rows**2).sum(axis=1)
        order = np.argsort(cost, kind="stable")
        total, losses = cost.sum(), np.cumsum(cost[order])
    else:
        gram = rows @ rows.T
        total = (moments.covariance * gram).sum()
        order, losses = removal_order(moments.covariance, gram, ridge)
    scores = np.empty(len(rows))
    scores[order] = losses / (total or 1.0)
    return scores


class _Variances:
    """`Moments` without what channels have to do with each other."""

    def __init__(self, size):
        self._count, self._sum, self._squares = 0, np.zeros(size), np.zeros(size)

    def add(self, values):
        self._count += len(values)
        self._sum += values.sum(axis=0)
        self._squares += (values**2).sum(axis=0)

    def check(self, name):
        if not np.isfinite(self._squares).all():
            raise ValueError(
                "Expected `model` to give finite values on `data`. Received: NaN or "
                f"infinity in `{name}`. Scale the images as for training."
            )

    @property
    def variance(self):
        return self._squares / self._count - (self._sum / self._count) ** 2
