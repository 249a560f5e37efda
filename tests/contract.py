"""What holds for every model that can be read: one contract, a tolerance per dtype."""

import keras
import numpy as np
from models import (
    TOLERANCE,
    array,
    identical,
    outputs,
    relative_difference,
    squared,
    weighed,
)

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace


def hold_contract(model, inputs, path, **arguments):
    """Asserts all that is promised of convert, prune, fold, save and load.

    Args:
        model: The model; all its weights should be random.
        inputs: What it is called with.
        path: A folder for files.
        **arguments: For `kbp.convert`.

    Returns:
        The `keras_basisprune.measure.Description` of the converted model.
    """
    tolerance = TOLERANCE[_computing_dtype(model)]
    before, state = outputs(model, inputs), state_of(model)
    assert all(np.isfinite(x).all() and np.any(x) for x in before)

    converted = kbp.convert(model, **arguments)
    assert relative_difference(before, outputs(converted, inputs)) <= tolerance
    hold_saved(converted, inputs, path / "converted.keras")

    mask_half(converted)
    masked = outputs(converted, inputs)
    assert relative_difference(before, masked) > tolerance
    pruned = kbp.prune(converted)
    assert relative_difference(masked, outputs(pruned, inputs)) <= tolerance
    assert pruned.count_params() < converted.count_params()
    folded = kbp.fold(pruned)
    assert relative_difference(masked, outputs(folded, inputs)) <= tolerance

    assert not any(type(x).__module__.startswith("keras_b") for x in folded.layers)
    assert not basis_pairs(trace(folded))
    again = kbp.fold(folded)
    assert [x.get_config() for x in again.layers] == [
        x.get_config() for x in folded.layers
    ]
    assert identical(outputs(folded, inputs), outputs(again, inputs))
    hold_saved(folded, inputs, path / "folded.keras")

    assert same_state(state, state_of(model))
    assert identical(before, outputs(model, inputs))
    return kbp.describe(converted)


def mask_half(converted, seed=0):
    """Masks a random half of the bases of every layer, and scales the others."""
    rng = np.random.default_rng(seed)
    for pair in basis_pairs(trace(converted)).values():
        mask = np.ones(pair.rank)
        mask[rng.permutation(pair.rank)[: pair.rank // 2]] = 0.0
        pair.scaling.mask.assign(mask)
        pair.scaling.scale.assign(rng.uniform(0.5, 1.5, pair.rank))


def _computing_dtype(model):
    dtypes = {x.compute_dtype for x in model.layers if x.weights}
    return next(
        (d for d in ("bfloat16", "float16", "float32") if d in dtypes), "float64"
    )


def hold_saved(model, inputs, path):
    model.save(path)
    users = [type(x) for x in model.layers] + [weighed, squared]
    names = {x.__name__: x for x in users if "keras" not in x.__module__}
    loaded = keras.saving.load_model(path, custom_objects=names, safe_mode=False)
    assert identical(outputs(model, inputs), outputs(loaded, inputs))


def state_of(model):
    """All that must not change: weights, trainable flags, output tensors."""
    weights = [array(v) for v in model.variables]
    flags = [(layer.name, layer.trainable) for layer in model.layers]
    return weights, flags, [_output(layer) for layer in model.layers]


def _output(layer):
    try:  # the output of a layer that gained a node is not defined any more
        return layer.output
    except AttributeError:
        return None


def same_state(before, after):
    same = keras.tree.map_structure(lambda a, b: a is b, before[2], after[2])
    return (
        identical(before[0], after[0])
        and before[1] == after[1]
        and all(keras.tree.flatten(same))
    )
