"""Aggregates scores of each layer's channels to scores of groups."""

import warnings

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.rules import known, rules_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.utils.check_choice import check_choice

_AGGREGATES = ("sum", "mean", "max")
_NORMALIZERS = (None, "mean", "max")


class Groups:
    """The groups of a model, and the scores of their members.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        aggregate: `"sum"`, `"mean"` or `"max"`, over the members of a group.
        normalize: `"mean"` or `"max"` to divide each layer's scores by it; or `None`.

    Raises:
        ValueError: If an argument is unknown, or the model can't be read.
    """

    def __init__(self, model, aggregate="sum", normalize=None):
        check_choice("aggregate", aggregate, _AGGREGATES)
        check_choice("normalize", normalize, _NORMALIZERS)
        self.traced = trace(model)
        check_finite_weights(model)
        self.channels = channel_map(self.traced)
        self._aggregate, self._normalize = aggregate, normalize
        self._free = np.ones(self.channels.count, bool)
        self._free[list(self.channels.pinned)] = False
        self._members: list[tuple[np.ndarray, np.ndarray]] = []

    def layers(self) -> list[list]:
        """Returns the calls of each layer with weights and removable channels."""
        calls: dict[int, list] = {}
        for call in self.traced.calls:
            of = self.channels.of(call.output_tensors[0])
            if getattr(call.op, "weights", ()) and of is not None:
                if self._free[of].any():
                    calls.setdefault(id(call.op), []).append(call)
        return list(calls.values())

    def makers(self) -> list[list]:
        """Returns the calls of layers that compute channels, or have filters for each.

        The latter are depthwise and grouped convolutions.
        """
        return [calls for calls in self.layers() if any(map(self._makes, calls))]

    def _makes(self, call):
        if any(rule.depthwise(call.op) for rule in rules_of(call.op)):
            return True
        found = self.channels.tensors
        given = [found[id(t)].ids for t in call.input_tensors if id(t) in found]
        made = found[id(call.output_tensors[0])].ids
        return not np.isin(made, np.concatenate([[-1], *given])).all()

    def add(self, call, scores):
        """Adds the scores of a layer's output channels; call it once per layer."""
        of = self.channels.of(call.output_tensors[0])
        scores = np.asarray(scores, np.float64)
        if of is None or of.shape != scores.shape:
            return  # its weights belong to another axis, so its channels are kept
        if not np.isfinite(scores).all():
            raise ValueError(
                f"Expected finite scores of the channels of `{call.op.name}`. "
                "Received: NaN or infinity. Look for weights or samples that are not "
                "finite."
            )
        if self._normalize is not None:
            scores = scores / (getattr(scores, self._normalize)() or 1.0)
        self._members.append((of, scores))

    def scores(self, criterion, lacking, inside=0) -> np.ndarray:
        """Returns the scores of groups, and warns of groups that could not be scored.

        Args:
            criterion: Its name, for the warning.
            lacking: What these layers lack, in words.
            inside: Number of stack frames between the caller and this function, for the
                warning.

        Returns:
            Float64 array of shape `(groups,)`; `inf` for groups without a score.
        """
        of = np.concatenate([np.empty(0, np.int64), *(m[0] for m in self._members)])
        values = np.concatenate([np.empty(0), *(m[1] for m in self._members)])
        count = np.bincount(of, minlength=len(self._free))
        if self._aggregate == "max":
            total = np.full(len(self._free), -np.inf)
            np.maximum.at(total, of, values)
        else:
            total = np.bincount(of, values, minlength=len(self._free))
        if self._aggregate == "mean":
            total = total / np.maximum(count, 1)
        missing = self._free & (count == 0)
        if missing.any():
            whose = ", ".join(self._names(missing)) or "no layer with weights"
            warn_unscored(
                criterion, missing.sum(), f"of {whose}, {lacking}", 3 + inside
            )
        return np.where(self._free & (count > 0), total, np.inf)

    def _names(self, missing):
        """Returns name and type of the layers that compute channels of some groups."""
        return dict.fromkeys(
            f"`{call.op.name}` (of type {type(call.op).__name__})"
            for call in (calls[0] for calls in self.makers())
            if missing[self.channels.of(call.output_tensors[0])].any()
        )


def warn_unscored(criterion, count, which, stacklevel):
    """Warns of channels that could be removed but are kept, without a score."""
    others = [name for name in ("activation", "taylor") if name != criterion]
    remedy = " or ".join(f"`scores.channels.{name}`" for name in others)
    warnings.warn(
        f"Expected channels that `{criterion}` can score. Received: {count:,} groups "
        f"{which}. They score `inf` and are kept. Score them with {remedy}, or keep "
        "them.",
        stacklevel=stacklevel + 1,
    )


def filter_scores(model, score, aggregate, normalize, criterion) -> np.ndarray:
    """Scores groups by the filters of the layers that compute their channels.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        score: Takes a float64 matrix of shape `(weights per filter, filters)` and
            returns an array of shape `(filters,)`.
        aggregate: As in `Groups`.
        normalize: As in `Groups`.
        criterion: Its name.

    Returns:
        A float64 array of shape `(groups,)`.
    """
    groups = Groups(model, aggregate, normalize)
    pairs = {id(p.scaling): p for p in basis_pairs(groups.traced).values()}
    for call, *_ in groups.makers():
        matrix = _filters(call.op)
        if matrix is not None and id(call.op) in pairs:
            matrix = _filters(pairs[id(call.op)].basis) @ matrix
        if matrix is not None:
            groups.add(call, score(matrix))
    return groups.scores(criterion, "of which no filters are known", 1)


def _filters(layer) -> np.ndarray | None:
    """Returns filters of a layer as columns of a float64 matrix; `None` without any."""
    matrix = known(layer, "filters", layer)
    if matrix is None:
        return None
    return np.asarray(matrix).astype(np.float64)
