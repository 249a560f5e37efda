"""What a model costs when some groups of its channels have left."""

import math

import keras
import numpy as np

from keras_basisprune.graph.channels import ChannelMap
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure._count import call_flops
from keras_basisprune.trace import Trace

_MIXING = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.Dense,
    BasisScalingConv,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


class ChannelCosts:
    """Parameters, FLOPs and channels of a model, as a function of what is alive.

    Each part of a layer costs in proportion to the channels that it has at one end
    (bias, depthwise kernels, normalization) or at both (kernels). No weight is read.
    One evaluation takes time linear in the number of channels of all layers.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        kind: `"flops"`, `"params"` or `"channels"` (the number of groups that may
            leave).

    Raises:
        ValueError: If `kind` is `"flops"` and sizes of the model's input are unknown.
    """

    def __init__(self, traced: Trace, channels: ChannelMap, kind):
        self._fixed = 0.0
        self._count = channels.count
        # Pairs of an amount and the groups at the ends that it is proportional to.
        self._parts: list[tuple[float, list[np.ndarray]]] = []
        if kind == "channels":
            groups = np.setdiff1d(np.arange(self._count), list(channels.pinned))
            if len(groups):
                self._parts.append((float(len(groups)), [groups]))
            return
        seen: set[int] = set()
        for call in traced.calls:
            ends = (
                [channels.of(call.input_tensors[0])] if call.input_tensors else [None]
            )
            ends.append(channels.of(call.output_tensors[0]))
            if kind == "flops":
                self._add(call.op, _flops(call), ends)
            elif id(call.op) not in seen:
                self._add(call.op, _params(call.op), ends)
            seen.add(id(call.op))

    def _add(self, op, amounts, ends):
        """Takes in what depends on no end, the input, the output, and both."""
        fixed, of_input, of_output, of_both = amounts
        known = [end for end in ends if end is not None]
        if len(known) < 2:
            self._fixed += sum(amounts)
            return
        if getattr(op, "kernel", None) is not None and not _fits(op, ends[0]):
            self._fixed += sum(amounts)  # it reads along another axis
            return
        self._fixed += fixed
        self._parts += [
            (amount, which)
            for amount, which in (
                (of_input, ends[:1]),
                (of_output, ends[1:]),
                (of_both, ends),
            )
            if amount
        ]

    def __call__(self, alive) -> float:
        """The cost when the groups where `alive` (a boolean array) is true are left."""
        total = self._fixed
        for amount, ends in self._parts:
            total += amount * math.prod(alive[end].mean() for end in ends)
        return total

    def marginal(self) -> np.ndarray:
        """What each group costs: array of shape `(groups,)`, for the whole model."""
        each = np.zeros(self._count)
        for amount, ends in self._parts:
            for end in ends:
                each += amount / len(end) * np.bincount(end, minlength=self._count)
        return each


def _fits(op, groups) -> bool:
    """Whether a kernel reads the channels that come in."""
    shape = op.kernel.shape
    at = -1 if "Transpose" in type(op).__name__ else -2
    return len(groups) in (shape[at], shape[at] * getattr(op, "groups", 1))


def _depthwise(op) -> bool:
    groups = getattr(op, "groups", 1)
    return groups > 1 and op.kernel.shape[-2] == 1


def _flops(call):
    op, flops = call.op, call_flops(call) or 0
    if isinstance(op, _SEPARABLE):
        kernels = op.depthwise_kernel.shape, op.pointwise_kernel.shape
        depthwise, pointwise = map(math.prod, kernels)
        share = depthwise / (depthwise + pointwise)
        return 0, flops * share, 0, flops * (1 - share)
    if type(op) in _MIXING and not _depthwise(op):
        return 0, 0, 0, flops
    return 0, 0, flops, 0


def _params(op):
    weights = [math.prod(w.shape) for w in getattr(op, "weights", ())]
    if isinstance(op, _SEPARABLE):
        depthwise = math.prod(op.depthwise_kernel.shape)
        pointwise = math.prod(op.pointwise_kernel.shape)
        return 0, depthwise, sum(weights) - depthwise - pointwise, pointwise
    if isinstance(op, BasisScalingConv):
        kernel = math.prod(op.kernel.shape)
        rest = sum(weights) - kernel - (op.filters if op.use_bias else 0)
        return 0, rest, sum(weights) - kernel - rest, kernel
    if type(op) in _MIXING and not _depthwise(op):
        kernel = math.prod(op.kernel.shape)
        return 0, 0, sum(weights) - kernel, kernel
    seeds = sum(
        math.prod(w.shape) for w in getattr(op, "weights", ()) if "seed" in w.name
    )
    return seeds, 0, sum(weights) - seeds, 0
