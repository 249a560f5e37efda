"""Lists the layers of a model that were decomposed or left alone, and why."""

import dataclasses
import math
from collections.abc import Sequence

import keras

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.decomposable import decomposable
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.linalg import folded_weights
from keras_basisprune.measure.call_flops import call_flops
from keras_basisprune.utils.text_table import text_table


@dataclasses.dataclass(frozen=True)
class LayerDescription:
    """A layer of a model, decomposed or left alone.

    Attributes:
        name: Name of the layer (before it was decomposed).
        kind: Its class name.
        matrix: `(n, cout)`, the shape of its kernel as a matrix, if it has such a form.
        rank: Number of bases that are not masked; full rank if it is not decomposed.
        energy: Share of the kernel's energy (sum of squared singular values) in these
            bases; 1.0 if not decomposed.
        params: `(before, after)`: weights of the original layer, and after `fold`.
        flops: `(before, after)`: 2 x multiply-adds for one sample, over all its calls;
            `None` if sizes of the input are unknown, or there is no rule for the layer.
        reason: Why it was left alone; `None` if it was decomposed.
    """

    name: str
    kind: str
    matrix: tuple[int, int] | None
    rank: int | None
    energy: float
    params: tuple[int, int]
    flops: tuple[int, int] | None
    reason: str | None


@dataclasses.dataclass(frozen=True)
class Description:
    """Every layer with a kernel, in order of execution; prints as a table.

    Attributes:
        layers: A tuple of `LayerDescription`.
    """

    layers: tuple[LayerDescription, ...]

    @property
    def decomposed(self) -> tuple[LayerDescription, ...]:
        """The layers that were decomposed."""
        return tuple(layer for layer in self.layers if layer.reason is None)

    @property
    def left_alone(self) -> tuple[LayerDescription, ...]:
        """The layers that were left alone, with their reasons."""
        return tuple(layer for layer in self.layers if layer.reason is not None)

    def __str__(self):
        columns = ("<layer", "<kind", "matrix", "rank", "energy", "params", "folded")
        columns += ("FLOPs", "folded", "<left alone because")
        rows = []
        for x in self.layers:
            matrix = "x".join(map(str, x.matrix)) if x.matrix else "-"
            rank = "-" if x.rank is None else str(x.rank)
            before, after = (f"{count:,}" for count in x.params)
            row = [x.name, x.kind, matrix, rank, f"{x.energy:.4f}", before, after]
            flops = [f"{count:,}" for count in x.flops] if x.flops else ["-", "-"]
            rows.append([*row, *flops, x.reason or ""])
        return text_table(columns, rows)


def describe(
    model: keras.Model, *, input_shape: Sequence[int | None] | None = None
) -> Description:
    """Lists every layer with a kernel: how it was decomposed, or why it was not.

    Works on converted and on ordinary models. In the latter, the reason "not converted"
    marks layers that `convert` could decompose. Time is linear in the number of calls
    and in the weights of the scaling layers.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        input_shape: Shape of one sample, for a model whose input sizes are `None`.

    Returns:
        A `Description`.

    Raises:
        ValueError: If the model is subclassed or not built.

    Example:

    >>> print(keras_basisprune.describe(keras_basisprune.convert(model, rank=0.9)))
    """
    traced = trace(model, input_shape)
    pairs = basis_pairs(traced)
    heads = {id(pair.scaling): pair for pair in pairs.values()}
    halves = {id(pair.basis) for pair in pairs.values()}
    calls: dict[int, list] = {}
    for call in traced.calls:
        if isinstance(call.op, keras.layers.Layer) and id(call.op) not in halves:
            calls.setdefault(id(call.op), []).append(call)
    rows = []
    for made in calls.values():
        layer = made[0].op
        if isinstance(layer, BasisScalingConv):
            rows.append(_decomposed(heads[id(layer)], _flops(made)))
        elif reason := decomposable(layer):
            rows.append(_left(layer, reason, None, made))
        elif reason is None:
            why = "not chosen" if pairs else "not converted"
            shape = rule_of(layer).matrix_shape(layer)
            rows.append(_left(layer, why, shape, made))
    return Description(tuple(rows))


def _decomposed(pair, flops):
    n, cout = pair.matrix
    energies = pair.singular_values**2
    share = float((energies * pair.mask).sum() / (energies.sum() or 1.0))
    rank = int(pair.mask.sum())
    weights = (n * cout, folded_weights(max(rank, 1), n, cout))
    bias = 0 if pair.scaling.bias is None else cout
    # `flops` are those of the scaling layer; divided by its weights: 2 x positions.
    each = None if flops is None else flops // (pair.rank * cout)
    return LayerDescription(
        pair.name,
        type(pair.basis).__name__,
        (n, cout),
        rank,
        pair.scaling.energy * share,
        tuple(count + bias for count in weights),
        None if each is None else tuple(each * count for count in weights),
        None,
    )


def _left(layer, reason, matrix, calls):
    params = sum(math.prod(weight.shape) for weight in layer.weights)
    flops = _flops(calls)
    return LayerDescription(
        layer.name,
        type(layer).__name__,
        matrix,
        min(matrix) if matrix else None,
        1.0,
        (params, params),
        None if flops is None else (flops, flops),
        reason,
    )


def _flops(calls):
    """Returns FLOPs of a layer over all its calls; `None` if they are not known."""
    try:
        flops = [call_flops(call) for call in calls]
    except ValueError:  # sizes are unknown
        return None
    return None if None in flops else sum(flops)
