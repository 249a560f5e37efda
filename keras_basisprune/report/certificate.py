"""Compares the outputs of the forms of a network."""

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.running import predict
from keras_basisprune.graph.trace import trace
from keras_basisprune.surgery import prune

_TOLERANCE = 1e-3


def certificate(model, converted, network, folded, images) -> list[dict]:
    """Compares the outputs of each form of a network with those of the one before.

    Args:
        model: The original.
        converted: The original, converted at full rank. In a copy, the strongest basis
            of every layer is masked and removed. `None` if nothing can be decomposed.
        network: The network that was found, not folded.
        folded: The folded network.
        images: Samples to compare on.

    Returns:
        A list of dicts with `"step"`, `"against"`, `"difference"` (the largest absolute
        difference of any output) and `"tolerance"`.
    """
    rows = []
    if converted is not None:
        rows.append(_row("converted", "original", converted, model, images))
        masked = _masked(converted)
        rows.append(_row("pruned", "masked", prune(masked), masked, images))
    rows.append(_row("folded", "not folded", folded, network, images))
    return rows


def _masked(converted) -> keras.Model:
    """Returns a copy in which the strongest basis of each layer is masked.

    Layers with one basis keep it.
    """
    copy = flatten(converted)
    for pair in basis_pairs(trace(copy)).values():
        mask = np.array(keras.ops.convert_to_numpy(pair.scaling.mask))
        mask[0] = float(len(mask) == 1)
        pair.scaling.mask.assign(mask)
    return copy


def _row(step, against, one, other, images):
    ours, theirs = (keras.tree.flatten(predict(m, images)) for m in (one, other))
    pairs = zip(ours, theirs, strict=True)
    difference = float(np.max([np.max(np.abs(a - b)) for a, b in pairs]))
    return {
        "step": step,
        "against": against,
        "difference": difference,
        "tolerance": _TOLERANCE,
    }
