"""How much of a cut is made by channels, and how much by bases."""

import contextlib

import numpy as np

from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.plans.sensitivity import Sensitivity
from keras_basisprune.utils.cannot_reach import CannotReach

# Channels are cut to a share to the power of one of these.
_SPLITS = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)
_USUAL = 1 / 3  # where nothing can be predicted
_SHARE = 0.25  # of the FLOPs, for which losses are predicted
# What remains of the loss of bases that were measured alone once they are fitted one
# after the other: 0.07 to 0.2 on two networks, less on a third.
_FITTED = 1 / 6


def measured_split(model, channels: Sensitivity, bases: Sensitivity) -> float:
    """Chooses the division of a cut with the least predicted loss.

    Args:
        model: The `keras.Model` that was measured.
        channels: What was measured of its channels.
        bases: What was measured of its bases.

    Returns:
        The exponent of a share of the FLOPs: channels are cut to `share ** exponent`,
        and bases to the rest.
    """
    if not channels.curves or not bases.curves:
        return _USUAL
    energies = {curve.layer: _energies(curve) for curve in bases.curves}
    losses = {}
    for split in _SPLITS:
        with contextlib.suppress(CannotReach, NothingToDecompose):
            wide = select_channels(model, keep=_SHARE**split, sensitivity=channels)
            low = select_bases(model, keep=_SHARE ** (1 - split), scores=energies)
            fitted = _FITTED * bases.predicted(low)
            losses[split] = channels.predicted(wide) + fitted
    return min(losses, key=losses.__getitem__, default=_USUAL)


def _energies(curve) -> np.ndarray:
    """Returns the share of energy of each basis of a layer, the strongest first."""
    shares = np.diff([0.0, *curve.errors])[::-1]
    return np.array([max(0.0, 1 - sum(shares)), *np.maximum(shares, 0.0)])
