"""Cut out what a plan does not keep."""

import keras

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.plan import Plan
from keras_basisprune.trace import trace


def prune(model, plan=None, round_to=1) -> keras.Model:
    """Removes the bases that a plan does not keep.

    Columns of the basis filters, scales, and rows of the scaling kernel leave for
    good. The number of channels that a layer takes and gives stays the same, so this
    is right on every architecture. The result can be trained further, and folded. Its
    outputs equal those of the masked model up to rounding. The given model is not
    changed. Time and memory are linear in calls and weights.

    Source: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for
    Efficient Transfer Learning* (arXiv:2108.02893), section 3.2.

    Args:
        model: A converted model.
        plan: A `Plan` whose `bases` name decomposed layers. Defaults to
            `Plan.from_masks(model, round_to)`: masked bases leave.
        round_to: Rank per layer is rounded up to a multiple of this (at most the
            rank there is), since some runtimes are fastest at multiples of 8. Masked
            bases that come back by it are unmasked. Only without a `plan`.

    Returns:
        A smaller Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the model is not converted, or the plan does not fit it.

    Example:

    >>> small = keras_basisprune.prune(model)
    >>> plain = keras_basisprune.fold(small)
    """
    traced = trace(model)
    pairs = basis_pairs(traced, model.name)
    masked = plan is None
    if not masked and round_to != 1:
        raise ValueError(
            "Expected `round_to=1` together with `plan`, which says what is kept. "
            f"Received: round_to={round_to}. Make the plan with "
            "`Plan.from_masks(model, round_to)` or `Limits(round_to=...)`."
        )
    plan = Plan.from_masks(model, round_to) if masked else plan
    _check(plan, pairs)
    halves = {}
    for name, kept in plan.bases.items():
        halves[id(pairs[name].basis)] = (_cut_basis, kept)
        unmask = masked and round_to > 1
        cut = _cut_scaling_unmasked if unmask else _cut_scaling
        halves[id(pairs[name].scaling)] = (cut, kept)

    def replace(layer, name):
        if id(layer) not in halves:
            return None
        cut, kept = halves[id(layer)]
        return [cut(layer, list(kept.indices), name)]

    return rewrite(model, replace, traced)


def _check(plan, pairs):
    if not isinstance(plan, Plan):
        raise ValueError(
            "Expected `plan` to be a `keras_basisprune.Plan` or None. Received: "
            f"plan={plan!r} (of type {type(plan).__name__}). Make one with "
            "`keras_basisprune.select(...)` or `Plan.from_masks(model)`."
        )
    if plan.channels:
        raise ValueError(
            "Expected `plan` to name bases only. Received: a plan for the channels of "
            f"{list(plan.channels)[:5]}. Channels can't be pruned in this version."
        )
    for name, kept in plan.bases.items():
        if name not in pairs:
            raise ValueError(
                "Expected `plan` to name decomposed layers of `model`. Received: "
                f"`{name}`; there are {list(pairs)[:20]}. Make it from this model."
            )
        if kept.total != pairs[name].rank:
            raise ValueError(
                f"Expected `plan` to count {pairs[name].rank} bases in `{name}`. "
                f"Received: total={kept.total}. Make the plan from this model."
            )


def _cut_basis(layer, kept, name):
    kernel = keras.ops.convert_to_numpy(layer.kernel.value)[..., kept]
    width = "units" if isinstance(layer, keras.layers.Dense) else "filters"
    return NewLayer(clone(layer, name, **{width: len(kept)}), {"kernel": kernel})


def _cut_scaling(layer, kept, name):
    whole = {
        key: keras.ops.convert_to_numpy(getattr(layer, key).value)
        for key in ("kernel", "scale", "mask", *(["mean"] if layer.centered else []))
    }
    weights = {key: value[kept] for key, value in whole.items()}
    energies = (whole["kernel"].astype("float64") ** 2).sum(axis=1)
    share = float(energies[kept].sum() / (energies.sum() or 1.0))
    if layer.bias is not None:
        weights["bias"] = layer.bias
    return NewLayer(clone(layer, name, energy=layer.energy * share), weights)


def _cut_scaling_unmasked(layer, kept, name):
    new = _cut_scaling(layer, kept, name)
    alive = bool(new.weights["mask"].any())  # else the layer's output is its bias alone
    weights = {**new.weights, "mask": new.weights["mask"] * 0 + alive}
    return NewLayer(new.layer, weights)
