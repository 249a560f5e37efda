"""Costs of decomposed layers, and of the rest of a model."""

import math

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.folded_layers import folded_layers
from keras_basisprune.graph.rules import defines, rule_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.call_flops import call_flops
from keras_basisprune.measure.fold_costs import OPEN_SIZES, FoldCosts
from keras_basisprune.surgery import fold


def part_costs(model, traced, parts, cost) -> tuple[dict[str, float], float]:
    """Counts (or times) the original form of each decomposed layer, and the rest.

    Args:
        model: A model, converted or not.
        traced: Its `Trace`.
        parts: Its `Part`s.
        cost: `"flops"`, `"params"`, `"bases"`, or a `LatencyTable`.

    Returns:
        A dict from the names of `parts` to their costs, and a number: the cost of all
        other layers (0 with `"bases"`).
    """
    if cost == "bases":
        return {part.name: float(part.rank) for part in parts}, 0.0
    if not isinstance(cost, str):
        whole = {part.name: whole_time(part, traced, cost) for part in parts}
        return whole, _rest_time(model, traced, parts, cost)
    if pairs := basis_pairs(traced):
        costs = FoldCosts(model, pairs, traced)
        each, sizes = costs.per_weight(cost), costs.sizes()
        whole = {name: each[name] * math.prod(sizes[name]) for name in sizes}
        return whole, costs.rest(cost)
    return _params(traced, parts) if cost == "params" else _flops(traced, parts)


def _params(traced, parts):
    ops = [call.op for call in traced.calls]
    weights = {id(w): w for op in ops for w in getattr(op, "weights", ())}
    whole = {part.name: float(math.prod(part.matrix)) for part in parts}
    total = sum(math.prod(weight.shape) for weight in weights.values())
    # Bases of the outputs keep their mean, by a bias.
    gained = sum(part.matrix[1] for part in parts if part.centered)
    return whole, total + gained - sum(whole.values())


def _flops(traced, parts):
    owners = {id(part.basis): part for part in parts}
    whole, rest = {part.name: 0.0 for part in parts}, 0.0
    for call in traced.calls:
        try:
            counted = call_flops(call) or 0
        except ValueError as error:
            raise ValueError(OPEN_SIZES) from error
        part = owners.get(id(call.op))
        if part is not None:
            sizes = call.output_tensors[0].shape[1:]
            if None in sizes:
                raise ValueError(OPEN_SIZES)
            own = 2 * (math.prod(sizes) // part.matrix[1]) * math.prod(part.matrix)
            whole[part.name] += own
            counted = max(0, counted - own)  # the first half of a separable one
        rest += counted
    return whole, rest


def whole_time(part, traced, table) -> float:
    """Returns the milliseconds of a layer before decomposition, for all its calls."""
    rank = min(part.matrix)
    return sum(rank_time(part, rank, shape, table) for shape in part.shapes(traced))


def rank_time(part, rank, shape, table) -> float:
    """Returns the milliseconds of one call at some rank, after `fold`."""
    time = 0.0
    for layer in folded_layers(part, rank):
        time += table.milliseconds(layer, shape)
        shape = tuple(layer.compute_output_shape((1, *shape))[1:])
    return time


def _rest_time(model, traced, parts, table):
    """Returns the milliseconds of all other convolutions and dense layers.

    BatchNormalization is folded into them first.
    """
    ours = {half(part.name) for part in parts for half in (str, basis_name)}
    time = sum(
        table.milliseconds(call.op, tuple(call.input_tensors[0].shape[1:]))
        for call in trace(fold(model)).calls
        if defines(rule_of(call.op), "fold") and call.op.name not in ours
    )
    owners = {id(part.basis): part for part in parts}
    for call in traced.calls:  # the first half of those that are not decomposed yet
        if (part := owners.get(id(call.op))) is None:
            continue
        shape = tuple(call.input_tensors[0].shape)
        for new in rule_of(part.basis).before(part.basis, part.name):
            time += table.milliseconds(new.layer, shape[1:])
            shape = tuple(new.layer.compute_output_shape(shape))
    return time
