"""What a model costs when its channels are gated, as a differentiable function."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from keras import ops

from keras_basisprune.graph.channel_map import ChannelMap
from keras_basisprune.graph.trace import Trace
from keras_basisprune.layers import TrainedMask
from keras_basisprune.measure.channel_costs import ChannelCosts

_EXACT = 1e-9  # relative error of a polynomial that fits


class ExpectedCost:
    """Parameters or FLOPs of a model, as a function of gates between 0 and 1.

    The cost of a call is a polynomial of the numbers of channels that it reads and
    makes: a convolution's FLOPs are a constant times expected input channels times
    expected output channels. So a group of channels is charged by the layers that make
    it, and by those that read it. The polynomials are found by asking `ChannelCosts`,
    that is, the layers' rules, at a few widths: with gates that are 0 or 1 (and a
    channel left in every tensor) it is exactly what `cost` measures after `prune`.
    Layers that weigh channels (`layers.TrainedMask`) are left out, as `fold` does.

    Building takes time linear in the number of calls and channels, times that of some
    widths; one evaluation is a product of a matrix of the shape `(widths, groups)`.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        kind: `"flops"` or `"params"`.

    Raises:
        ValueError: If `kind` is `"flops"` and sizes of the model's input are unknown,
            or what a layer costs is no polynomial of second degree in each of the
            numbers of its channels.
    """

    def __init__(self, traced: Trace, channels: ChannelMap, kind: str):
        own = [call for call in traced.calls if not _weighs_channels(call.op)]
        costs = ChannelCosts(dataclasses.replace(traced, calls=own), channels, kind)
        free = np.ones(channels.count, bool)
        free[list(channels.pinned)] = False
        self._widths: dict[bytes, int] = {}
        terms: dict[tuple[int, ...], float] = {(): float(costs.fixed)}
        for part in costs.parts:
            for term, factor in self._terms(part, free).items():
                terms[term] = terms.get(term, 0.0) + factor
        rows = [np.frombuffer(key, np.int64) for key in self._widths]
        self._matrix = np.array([*rows, np.zeros(channels.count)], np.float64)
        degree = max(map(len, terms))
        one = len(rows)  # the number of a width that is always 1
        self._factors = np.array(list(terms.values()))
        self._which = np.array([[*t, *[one] * (degree - len(t))] for t in terms], int)
        self.whole = float(self(np.ones(channels.count)))

    def __call__(self, gates) -> float:
        """The cost.

        Args:
            gates: Array of shape `(groups,)` of numbers in [0, 1].

        Returns:
            A number, computed in float64.
        """
        widths = self._matrix @ np.asarray(gates, np.float64)
        widths[-1] = 1.0
        return float(self._factors @ widths[self._which].prod(axis=-1))

    def share(self, gates: Any) -> Any:
        """The cost as a share of that of the whole model, differentiable.

        Args:
            gates: Tensor of shape `(groups,)`.

        Returns:
            A scalar tensor, of the dtype of `gates`.
        """
        full = np.maximum(self._matrix.sum(axis=1), 1.0)  # so that widths are shares
        full[-1] = 1.0
        factors = self._factors * full[self._which].prod(axis=-1) / self.whole
        matrix = ops.convert_to_tensor(self._matrix / full[:, None], gates.dtype)
        one = np.eye(len(full))[-1]
        widths = ops.matmul(matrix, gates) + ops.convert_to_tensor(one, gates.dtype)
        terms = ops.convert_to_tensor(factors, gates.dtype)
        for column in self._which.T:
            terms = terms * ops.take(widths, column)
        return ops.sum(terms)

    def _terms(self, part, free) -> dict[tuple[int, ...], float]:
        """The polynomial of one call: a factor for the numbers of widths in a term."""
        counts = {}
        for of in part.ends:
            if free[of].any():
                count = np.bincount(of, minlength=len(free))
                count = count // math.gcd(*count.tolist())  # depthwise: in and out
                counts[count.tobytes()] = count
        values, points = _sampled(part, list(counts.values()), free)
        numbers = [self._widths.setdefault(k, len(self._widths)) for k in counts]
        for degree in (1, 2):
            powers = list(itertools.product(range(degree + 1), repeat=len(numbers)))
            factors, error = _fitted(values, points, np.array(powers))
            if error <= _EXACT:
                break
        else:
            raise ValueError(
                "Expected every layer of `model` to cost a polynomial of second degree "
                f"in the numbers of its channels. Received: `{part.name}`, which does "
                "not. Take another method."
            )
        return {
            tuple(n for n, p in zip(numbers, power, strict=True) for _ in range(p)): f
            for power, f in zip(powers, factors, strict=True)
            if f
        }


def _sampled(part, counts, free):
    """What a call costs at some widths: the costs, and the widths of each."""
    # One more than a polynomial of second degree needs.
    levels = (1.0, 0.6, 0.3, 0.0) if len(counts) < 4 else (1.0, 0.5, 0.0)
    values, points = [], []
    for shares in itertools.product(levels, repeat=len(counts)):
        alive = np.ones(len(free), bool)
        for share, count in zip(shares, counts, strict=True):
            of = np.flatnonzero(free & (count > 0))
            alive[of[max(1, round(share * len(of))) :]] = False
        if all(alive[of].any() for of in part.ends):
            values.append(part(alive))
            points.append([int(count @ alive) for count in counts])
    return np.array(values, np.float64), np.array(points, np.float64)


def _fitted(values, points, powers):
    """Factors of the monomials of some powers, and the largest relative error."""
    full = points.max(axis=0)
    matrix = ((points / full)[:, None, :] ** powers).prod(axis=-1)
    factors = np.linalg.lstsq(matrix, values, rcond=1e-12)[0]
    error = np.abs(matrix @ factors - values).max() / max(values.max(), 1.0)
    factors = factors / (full**powers).prod(axis=-1)
    whole = np.round(factors)
    near = np.abs(factors - whole) * (full**powers).prod(axis=-1) < 1e-3
    return np.where(near, whole, factors), error


def _weighs_channels(op) -> bool:
    return isinstance(op, TrainedMask) and op.weighs[0] == "channels"
