"""Costs of a converted model after folding."""

from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg import folded_weights
from keras_basisprune.measure._count import count_calls

OPEN_SIZES = (
    "Expected a model with a fixed input size for `cost='flops'`. Received: sizes that "
    "are None. Pass cost='params', or build the model with a full `keras.Input(shape)`."
)


class FoldCosts:
    """The cost of a converted model after folding, relative to the original layers.

    Args:
        model: A converted model.
        pairs: Its `BasisPair`s by name. Ratios depend on their current masks.
        traced: Its `Trace`, if it is known already.
    """

    def __init__(self, model, pairs, traced=None):
        self._pairs = pairs
        self._sizes = {name: pair.matrix for name, pair in pairs.items()}
        halves = sum(  # kernels, scales, masks, means; biases stay as they are
            pair.rank * (sum(self._sizes[name]) + 2 + pair.scaling.centered)
            for name, pair in pairs.items()
        )
        self._rest = {"params": model.count_params() - halves}
        self._each = {"params": dict.fromkeys(pairs, 1)}  # per weight of a kernel
        try:
            counted = count_calls(traced or trace(model))
        except ValueError:  # sizes of the input are unknown: parameters only
            return
        flops = {layer.name: layer.flops for layer in counted.layers}
        ours = [x.name for p in pairs.values() for x in (p.basis, p.scaling)]
        self._rest["flops"] = counted.flops - sum(flops[name] for name in ours)
        self._each["flops"] = {
            name: flops[pair.scaling.name] / (pair.rank * pair.scaling.filters)
            for name, pair in pairs.items()
        }

    def rest(self, kind) -> float:
        """Returns the cost of all other layers, in `"params"` or `"flops"`."""
        self._check(kind)
        return self._rest[kind]

    def per_weight(self, kind) -> dict[str, float]:
        """Returns the cost of one weight of each decomposed layer's kernels."""
        self._check(kind)
        return dict(self._each[kind])

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Returns the matrix shape `(n, cout)` of each decomposed layer."""
        return dict(self._sizes)

    def per_basis(self, kind) -> dict[str, float]:
        """Returns the cost of one basis of each layer, in `"params"` or `"flops"`."""
        each = self.per_weight(kind)
        return {name: each[name] * sum(sizes) for name, sizes in self._sizes.items()}

    def _check(self, kind):
        if kind not in self._each:
            raise ValueError(OPEN_SIZES)

    def ratios(self) -> dict[str, float]:
        """Returns `params_ratio` and, if sizes are known, `flops_ratio`."""
        return {f"{kind}_ratio": self._ratio(kind) for kind in self._each}

    def _ratio(self, kind):
        before = after = self._rest[kind]
        for name, (n, cout) in self._sizes.items():
            rank = max(1, int(self._pairs[name].mask.sum()))  # `fold` keeps one
            before += self._each[kind][name] * n * cout
            after += self._each[kind][name] * folded_weights(rank, n, cout)
        return after / before
