"""Importance of channels by the loss when the others replace them."""

import keras
import numpy as np

from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.map_positions import MapPositions, take_positions
from keras_basisprune.graph.rules import axes, rule_of
from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg import Moments, removal_order
from keras_basisprune.scores.channels._groups import warn_unscored
from keras_basisprune.scores.channels._readers import readers
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data

_POSITIONS = 64  # per image and map, at most
_LARGEST = 8192  # input channels for which the covariance is computed


def compensated(
    model: keras.Model,
    data: Data,
    *,
    ridge: float = 0.01,
    batch_size: int = 32,
) -> np.ndarray:
    """Scores each group of channels by the loss that remains after compensation.

    For every layer that multiplies its input by a kernel, input channels are removed
    one after the other, always the one that the others can best replace, and the rows
    of the others are corrected by least squares (`linalg.removal_order`). A channel's
    score is the squared error of the products after its removal, as a share of their
    variance; a group's score is the sum over all layers that read it. So a threshold on
    the scores is a tolerance on the reconstruction error of every layer, and
    `select_channels` finds the tolerance for a budget; `round_to` sets the step.

    Such layers are convolutions (grouped, separable and transposed ones too), dense
    layers, `EinsumDense`, recurrent layers (their input), the projections of multi-head
    attention, and all of these inside `TimeDistributed` and `Bidirectional`. Channels
    that are tied to each other in the input of one layer (positions of a map after
    `Flatten`, the groups of a convolution) are removed together. Channels that nothing
    reads score 0.

    Inputs of more than 8,192 channels (a dense layer after `Flatten`) are judged
    without compensation. Time is that of a forward pass, and of `O(n^3)` per layer with
    `n` input channels; memory is one batch through the model and the sum of `n^2`.

    Source: *Compensation-aware pruning* (CaP, arXiv:2108.13728).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: Unlabelled samples: an array, a list or dict of arrays for several inputs,
            or a dataset of batches. A few hundred images are enough.
        ridge: Float > 0, relative to the mean variance of a layer's inputs.
        batch_size: Integer, the most samples that are computed at once.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`. `inf` for groups that
        can't be removed and, with a warning that names the layers that read them, for
        those that no such layer reads.

    Raises:
        ValueError: If an argument is out of its range, `data` does not fit the model, a
            value is not finite, or the model is subclassed or not built.

    Example:

    >>> scores = keras_basisprune.scores.channels.compensated(model, images[:500])
    >>> plan = keras_basisprune.select_channels(model, keep=0.5, scores=scores)
    >>> small = keras_basisprune.compensate(model, plan, images[:500])
    """
    remedy = "Pass, for example, `ridge=0.01`."
    ridge = check_number("ridge", ridge, "(0, inf)", "a positive float", remedy)
    batch_size = check_whole("batch_size", batch_size)
    traced = trace(model)
    check_finite_weights(model)
    channels = channel_map(traced)
    free = np.ones(channels.count, bool)
    free[list(channels.pinned)] = False
    first = {id(call.op): call for call in reversed(depth_first(traced).calls)}
    found = [reader for call in first.values() for reader in readers(call, channels)]
    found = [one for one in found if free[channels.of(one.tensor)].any()]
    moments = _moments(model, traced, found, data, batch_size)
    scores, read = np.zeros(len(free)), np.zeros(len(free), bool)
    for number, reader in enumerate(found):
        of: np.ndarray = channels.of(reader.tensor)
        groups, units = np.unique(of[reader.channel], return_inverse=True)
        scores[groups] += _losses(reader, moments.pop(number), ridge, units)
        read[groups] = True
    unknown = _unknown(traced, channels, free & ~read)
    if unknown:
        missing = np.unique(np.concatenate(list(unknown.values())))
        read[missing], scores[missing] = False, np.inf
        names = ", ".join(unknown)
        warn_unscored("compensated", len(missing), f"that are read by {names}", 2)
    return np.where(free, scores, np.inf)


def _unknown(traced, channels, unread) -> dict[str, np.ndarray]:
    """Returns groups that end in calls without a known kernel, by names of these."""
    found = {}
    for call in traced.calls:
        ends = [channels.of(tensor) for tensor in call.input_tensors]
        passed = [channels.of(tensor) for tensor in call.output_tensors]
        here = [of for of in ends if of is not None]
        if not here or isinstance(rule_of(call.op), axes.SliceRule):
            continue  # channels outside a slice are not read
        here = np.unique(np.concatenate(here))
        here = here[unread[here]]
        for of in passed:
            here = here if of is None else np.setdiff1d(here, of)
        if len(here):
            name = f"`{call.op.name}` (of type {type(call.op).__name__})"
            found[name] = np.union1d(here, found.get(name, here))
    return found


def _moments(model, traced, found, data, batch_size):
    """Returns means and covariances of each reader's inputs, by its number."""
    inputs = [id(t) for t in keras.tree.flatten(traced.inputs)]
    wanted = {id(reader.tensor) for reader in found} - set(inputs)
    sizes = [len(reader.rows) for reader in found]
    moments = [Moments(n) if n <= _LARGEST else _Variances(n) for n in sizes]
    for arrays in sample_batches(model, None, data, "data", batch_size):
        positions = MapPositions(arrays, _POSITIONS)
        values = dict(zip(inputs, ([array] for array in arrays), strict=True))
        values |= run_calls(traced.calls, values, wanted)
        for reader, known in zip(found, moments, strict=True):
            rows = reader.features(values[id(reader.tensor)][0])
            rows = take_positions(rows, positions.of_map(rows.shape[1]))
            known.add(rows.reshape(-1, rows.shape[-1]))
    for reader, known in zip(found, moments, strict=True):
        known.check(reader.name)
    return dict(enumerate(moments))


def _losses(reader, moments, ridge, units) -> np.ndarray:
    """Returns the relative error after the removal of each unit of input channels."""
    rows = reader.rows
    if isinstance(moments, _Variances):
        cost = np.bincount(units, moments.variance * (rows**2).sum(axis=1))
        order = np.argsort(cost, kind="stable")
        total, losses = cost.sum(), np.cumsum(cost[order])
    else:
        together = reader.part[:, None] == reader.part
        gram = (rows @ rows.T) * together
        covariance = moments.covariance * together
        total = (covariance * gram).sum()
        order, losses = removal_order(covariance, gram, ridge, units)
    scores = np.empty(len(order))
    scores[order] = losses / (total or 1.0)
    return scores


class _Variances:
    """`Moments` without covariances between channels."""

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
