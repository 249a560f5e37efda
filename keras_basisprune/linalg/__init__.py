"""The matrix computations of the decomposition. NumPy only."""

from keras_basisprune.linalg._low_rank import LowRank
from keras_basisprune.linalg.compensated_rounding import compensated_rounding
from keras_basisprune.linalg.components import components
from keras_basisprune.linalg.convex_slopes import convex_slopes
from keras_basisprune.linalg.descending import descending
from keras_basisprune.linalg.energy import kept_energy, rank_for_energy
from keras_basisprune.linalg.folded_weights import folded_weights
from keras_basisprune.linalg.moments import Moments
from keras_basisprune.linalg.principal_basis import principal_basis
from keras_basisprune.linalg.principal_deviations import principal_deviations
from keras_basisprune.linalg.removal_order import removal_order
from keras_basisprune.linalg.ridge_folds import RidgeFolds
from keras_basisprune.linalg.ridge_update import ridge_update
from keras_basisprune.linalg.svd_basis import svd_basis
from keras_basisprune.linalg.variance_factors import variance_factors

__all__ = [
    "LowRank",
    "Moments",
    "RidgeFolds",
    "compensated_rounding",
    "components",
    "convex_slopes",
    "descending",
    "folded_weights",
    "kept_energy",
    "principal_basis",
    "principal_deviations",
    "rank_for_energy",
    "removal_order",
    "ridge_update",
    "svd_basis",
    "variance_factors",
]
