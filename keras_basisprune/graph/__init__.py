from keras_basisprune.graph.basis_pairs import BasisPair, basis_pairs
from keras_basisprune.graph.decomposable import decomposable
from keras_basisprune.graph.rewrite import flatten, rewrite

__all__ = ["BasisPair", "basis_pairs", "decomposable", "flatten", "rewrite"]
