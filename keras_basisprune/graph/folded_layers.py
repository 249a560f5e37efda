"""The plain layers that replace a decomposed one when it is folded."""

from typing import Protocol

import keras
import numpy as np

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.rewrite import NewLayer
from keras_basisprune.graph.rules import pointwise_layer, rule_of
from keras_basisprune.linalg import folded_weights


class Matrix(Protocol):
    """A layer that is or can be decomposed, for example a `BasisPair`.

    Attributes:
        name: The name that the names of its parts are made from.
        basis: A layer whose rule can build similar layers with another matrix.
        matrix: Shape `(n, cout)` of the matrix.
    """

    @property
    def name(self) -> str: ...

    @property
    def basis(self) -> keras.layers.Layer: ...

    @property
    def matrix(self) -> tuple[int, int]: ...


def folded_pair(pair: Matrix, filters, back, bias=None) -> list[NewLayer]:
    """Makes the layers that `fold` puts in the place of a decomposed layer.

    These are `<layer>_basis` and a pointwise `<layer>`, or one merged `<layer>` if
    that has no more weights (`linalg.folded_weights`).

    Args:
        pair: The layer, as a `Matrix`.
        filters: Array of shape `(n, rank)`, the basis filters that are kept.
        back: Array of shape `(rank, cout)`, which maps them to the output channels.
        bias: Array of shape `(cout,)`, or `None` for none.

    Returns:
        A list of one or two `NewLayer`s: trainable, without activation.
    """
    rule, (n, rank), cout = rule_of(pair.basis), filters.shape, back.shape[1]
    if folded_weights(rank, n, cout) == n * cout:
        made = [rule.with_matrix(pair.basis, pair.name, filters @ back, bias)]
    else:
        made = [
            rule.with_matrix(pair.basis, basis_name(pair.name), filters),
            pointwise_layer(pair.basis, pair.name, back, bias),
        ]
    for new in made:
        new.layer.trainable = True
    return made


def folded_layers(pair: Matrix, rank, use_bias=True) -> list[keras.layers.Layer]:
    """Makes the layers of `folded_pair` without weights, not built, for any rank.

    Args:
        pair: The layer, as a `Matrix`.
        rank: Integer, the number of kept bases.
        use_bias: Boolean, whether the last layer has a bias.

    Returns:
        A list of one or two layers.
    """
    n, cout = pair.matrix
    bias = np.zeros(cout) if use_bias else None
    made = folded_pair(pair, np.zeros((n, rank)), np.zeros((rank, cout)), bias)
    return [new.layer for new in made]
