"""The layers of a plan of bases, decomposed already or not."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs, rounding_of
from keras_basisprune.graph.folded_layers import folded_layers
from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.scores.bases import spectra
from keras_basisprune.scores.energy import energies, energy_shares
from keras_basisprune.scores.to_decompose import to_decompose
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.shown import shown


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer that is decomposed, or will be.

    Attributes:
        name: Its name in plans and scores.
        basis: The layer that holds the basis filters, or the layer itself.
        matrix: Shape `(n, cout)` of the matrix that is factored.
        scores: Float64 array of shape `(rank,)`: the scores of the bases.
        rounding: Relative difference up to which scores count as equal.
        centered: Whether a bias is added to a layer without one.
    """

    name: str
    basis: keras.layers.Layer
    matrix: tuple[int, int]
    scores: np.ndarray
    rounding: float
    centered: bool = False

    @property
    def rank(self) -> int:
        """Number of bases, masked ones included."""
        return len(self.scores)

    @property
    def nonzero(self) -> int:
        """Number of bases that do not score 0 (masked bases do)."""
        return int(np.count_nonzero(self.scores))

    def shapes(self, traced) -> list[tuple]:
        """Returns the input shape of its matrix in each call, without the batch."""
        found = []
        for call in traced.calls:
            if call.op is self.basis:
                shape = tuple(call.input_tensors[0].shape)
                for new in rule_of(self.basis).before(self.basis, self.name):
                    shape = tuple(new.layer.compute_output_shape(shape))
                found.append(shape[1:])
        return found


def parts_of(model, traced, scores=None, data=None) -> list[Part]:
    """Returns the layers, in order of execution, with scores of their bases.

    Args:
        model: A model, converted or not.
        traced: Its `Trace`.
        scores: As in `select_bases`.
        data: As in `select_bases`.

    Returns:
        A list of `Part`s.

    Raises:
        ValueError: If `scores` do not fit the model, or there is `data` for a converted
            model.
    """
    if not (scores is None or isinstance(scores, Mapping)):
        raise ValueError(
            "Expected `scores` to be a dict from layer names to arrays. Received: "
            f"scores={shown(scores)}. Pass `keras_basisprune.scores.energy(model)`."
        )
    pairs = basis_pairs(traced)
    if not pairs:
        return _of_layers(model, scores, data)
    if data is not None:
        raise ValueError(
            "Expected `data` to be None for a converted model, which has its bases. "
            f"Received: data={shown(data)}. Leave it out, or pass the model that was "
            "converted."
        )
    scores = energies(trained_masks(traced)) if scores is None else scores
    return [
        Part(
            name,
            pair.basis,
            pair.matrix,
            _scores(scores, name, pair.rank),
            pair.rounding,
        )
        for name, pair in pairs.items()
    ]


def _of_layers(model, scores, data):
    """Returns the `Part`s of a model that is not converted."""
    if scores is None:
        found = to_decompose(model)
        values = spectra(model, found, data)
        scores = {name: energy_shares(own) for name, own in values.items()}
    else:
        found = to_decompose(model, lambda layer: True)
        unknown = scores.keys() - found.names.values()
        if unknown or not scores:
            raise ValueError(
                "Expected `scores` to name layers of `model` that can be decomposed. "
                f"Received: [{shortened(sorted(map(repr, unknown)))}]; there are "
                f"[{shortened(map(repr, found.names.values()))}]. Use the squares of "
                "`keras_basisprune.scores.bases(model)`, for example."
            )
    return [
        Part(
            name,
            layer,
            shape := rule_of(layer).matrix_shape(layer),
            _scores(scores, name, min(shape)),
            rounding_of(layer.dtype_policy.variable_dtype),
            data is not None and getattr(layer, "bias", None) is None,
        )
        for key, layer in found.layers.items()
        if (name := found.names[key]) in scores
    ]


def _scores(scores, name, rank) -> np.ndarray:
    values = check_numeric("scores", scores.get(name, ())).astype(np.float64)
    if values.shape != (rank,) or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(
            f"Expected `scores` to hold an array of shape ({rank},), all numbers >= 0 "
            f"and finite, for `{name}`. Received: {scores.get(name)}. Score this model."
        )
    return values


def excluded_parts(traced, parts, exclude) -> set[str]:
    """Returns the names of parts that `exclude` matches, by either half, too."""
    if not exclude:
        return set()
    whole = {part.name: folded_layers(part, min(part.matrix))[0] for part in parts}
    layers = list({id(call.op): call.op for call in traced.calls}.values())
    found = match_layers([*layers, *whole.values()], exclude, "exclude")
    ids = {id(layer) for layer in found}
    halves = _halves(traced)
    return {
        part.name
        for part in parts
        if not ids.isdisjoint(
            {id(whole[part.name]), id(part.basis), id(halves.get(part.name))}
        )
    }


def _halves(traced):
    return {name: pair.scaling for name, pair in basis_pairs(traced).items()}
