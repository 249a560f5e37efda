"""How far the forms of a network differ in what they compute."""

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
        converted: It, converted at full rank. In a copy, the strongest basis of every
            layer is masked, and cut out. `None` if nothing can be decomposed.
        network: The network that was found, not folded.
        folded: It, folded.
        images: Samples to compare on.

    Returns:
        A list of dicts with `"step"`, `"against"`, `"difference"` (the largest absolute
        one of any output) and `"tolerance"`.
    """
    rows = []
    if converted is not None:
        rows.append(_row("converted", "original", converted, model, images))
        masked = _masked(converted)
        rows.append(_row("pruned", "masked", prune(masked), masked, images))
    rows.append(_row("folded", "not folded", folded, network, images))
    return rows


def _masked(converted) -> keras.Model:
    """A copy in which each layer with several bases lacks the strongest."""
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
