"""Turn every convolution into basis filters and a scaling layer."""

import numbers

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.decomposable import (
    CONVOLUTIONS,
    SEPARABLE,
    decomposable,
    kernel_matrix,
)
from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.graph.rewrite import NewLayer, rewrite
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.linalg import kept_energy, rank_for_energy, svd_basis
from keras_basisprune.trace import trace


def convert(
    model, rank=None, basis="weights", l1=0.0, include=None, exclude=None
) -> keras.Model:
    """Decomposes the convolutions of a model into bases with trainable scales.

    Every chosen layer `<layer>` becomes `<layer>_basis` (a plain convolution whose
    filters are orthonormal, frozen) and `<layer>_scaling` (a `BasisScalingConv`, in
    which only the scales are trainable). At full rank the converted model computes
    the same function as the original up to rounding. All other layers keep their
    weights and their `trainable` flag. Nested models are flattened; the given model
    is not changed. Regularizers and constraints of decomposed kernels and biases are
    left out, since these are frozen. Compile the result before training it.

    Time is that of one singular value decomposition per layer,
    `O(n cout min(n, cout))` for a kernel of `n = kh kw cin` rows; memory is the two
    models' and a few float64 copies of one kernel.

    Source: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for
    Efficient Transfer Learning* (arXiv:2108.02893), section 3.1.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        rank: `None` for full rank, an integer (at most so many bases per layer), or a
            float in (0, 1]: the share of energy (squared singular values) to keep.
        basis: `"weights"`: the bases are the singular vectors of the kernels.
        l1: Float, strength of the L1 regularization of the scales.
        include: What to decompose: a layer name or regular expression (which must
            match the whole name), a layer class, a predicate `layer -> bool`, or a
            list of these. Defaults to every `Conv1D/2D/3D` and the pointwise half of
            every `SeparableConv1D/2D`. `Dense` layers are decomposed if they are
            asked for here.
        exclude: What to leave alone, in the same form. Wins over `include`.

    Returns:
        A Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the model is subclassed, not built, or converted already; if no
            layer can be decomposed; if a weight is not finite; if an argument is out
            of its range or names no layer.

    Example:

    >>> model = keras.applications.MobileNetV2(weights="imagenet")
    >>> converted = keras_basisprune.convert(model, rank=0.99, l1=1e-4)
    >>> converted.compile("adam", "sparse_categorical_crossentropy")
    """
    _check_arguments(rank, basis, l1)
    traced = trace(model)
    if pairs := basis_pairs(traced):
        raise ValueError(
            "Expected `model` not to be converted yet. Received: a model with "
            f"BasisScalingConv layers ({', '.join(list(pairs)[:3])}, ...). Train, "
            "`prune` and `fold` it, or start again from the original."
        )
    layers = list({id(c.op): c.op for c in traced.calls}.values())
    layers = [layer for layer in layers if isinstance(layer, keras.layers.Layer)]
    chosen = _choose(layers, include, exclude)

    def replace(layer, name):
        if id(layer) not in chosen:
            return None
        return _decompose(layer, name, rank, l1)

    return rewrite(model, replace, traced)


def _check_arguments(rank, basis, l1):
    whole = isinstance(rank, int | np.integer) and not isinstance(rank, bool)
    share = isinstance(rank, float | np.floating) and 0 < rank <= 1
    if not (rank is None or (whole and rank >= 1) or share):
        raise ValueError(
            "Expected `rank` to be None (full rank), a positive integer, or a float in "
            f"(0, 1] (the share of energy to keep). Received: rank={rank}. "
            "Pass, for example, `rank=0.99`."
        )
    if basis != "weights":
        raise ValueError(
            f"Expected `basis` to be 'weights'. Received: basis={basis!r}. "
            "Leave it out: the bases are taken of the kernels."
        )
    if not (isinstance(l1, numbers.Real) and np.isfinite(l1) and l1 >= 0):
        raise ValueError(
            "Expected `l1` to be a finite number >= 0. "
            f"Received: l1={l1}. Pass, for example, `l1=1e-4`."
        )


def _choose(layers, include, exclude) -> set[int]:
    """The ids of the layers to decompose."""
    if include is None:
        include = [*CONVOLUTIONS, *SEPARABLE]
    wanted = match_layers(layers, include, "include")
    unwanted = {id(x) for x in match_layers(layers, exclude or (), "exclude")}
    chosen = [x for x in wanted if id(x) not in unwanted and decomposable(x) is None]
    if not chosen:
        raise ValueError(
            "Expected `model` to have a layer that can be decomposed. Received: "
            f"{_reasons(layers)}. Dense layers are decomposed if `include` "
            "asks for them, for example `include=keras.layers.Dense`."
        )
    return {id(x) for x in chosen}


def _reasons(layers) -> str:
    rows = []
    for layer in layers:
        reason = decomposable(layer)
        if reason is None:
            reason = "not chosen by `include` and `exclude`"
        if reason:
            rows.append(f"`{layer.name}` ({reason})")
    return "; ".join(rows[:20]) or "a model without kernels"


def _decompose(layer, name, rank, l1) -> list[NewLayer]:
    """Plain basis layer(s) and the scaling layer that stand for `layer`."""
    u, s, vt = svd_basis(kernel_matrix(layer))
    r = _rank(s, rank)
    config = layer.get_config()
    scaling = BasisScalingConv(
        vt.shape[1],
        activation=layer.activation,
        use_bias=layer.use_bias,
        l1=l1 or None,
        energy=kept_energy(s, r),
        data_format=getattr(layer, "data_format", "channels_last"),
        activity_regularizer=layer.activity_regularizer,
        dtype=layer.dtype_policy,
        name=f"{name}_scaling",
    )
    weights = {"kernel": s[:r, None] * vt[:r]}
    if layer.use_bias:
        weights["bias"] = layer.bias
    chain = [NewLayer(scaling, weights)]
    if isinstance(layer, SEPARABLE):
        kernel = u[:, :r].reshape((*layer.pointwise_kernel.shape[:-1], r))
        basis = NewLayer(_pointwise(layer, r, name), {"kernel": kernel})
        weights = {"kernel": layer.depthwise_kernel}
        return [NewLayer(_depthwise(layer, config, name), weights), basis, *chain]
    kernel = u[:, :r].reshape((*layer.kernel.shape[:-1], r))
    return [NewLayer(_basis(layer, config, r, name), {"kernel": kernel}), *chain]


def _rank(singular_values, rank) -> int:
    if rank is None:
        return len(singular_values)
    if isinstance(rank, float | np.floating):
        return rank_for_energy(singular_values, rank)
    return min(rank, len(singular_values))


_OUTPUT_SIDE = ("bias", "kernel", "activity", "activation", "depthwise", "pointwise")


def _linear_config(config, name):
    """A layer's config without what belongs to its bias, activation and training."""
    config = {
        key: value
        for key, value in config.items()
        if not key.startswith(_OUTPUT_SIDE) or key == "kernel_size"
    }
    return {**config, "use_bias": False, "trainable": False, "name": name}


def _basis(layer, config, r, name):
    config = _linear_config(config, f"{name}_basis")
    config["units" if isinstance(layer, keras.layers.Dense) else "filters"] = r
    return type(layer).from_config({**config, "kernel_initializer": "zeros"})


def _depthwise(layer, config, name):
    kinds = {
        keras.layers.SeparableConv1D: keras.layers.DepthwiseConv1D,
        keras.layers.SeparableConv2D: keras.layers.DepthwiseConv2D,
    }
    config = _linear_config(config, f"{name}_depthwise")
    config.pop("filters")
    config["depthwise_initializer"] = "zeros"
    return kinds[type(layer)].from_config(config)


def _pointwise(layer, r, name):
    kinds = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}
    return kinds[len(layer.kernel_size)](
        r,
        1,
        use_bias=False,
        data_format=layer.data_format,
        kernel_initializer="zeros",
        dtype=layer.dtype_policy,
        trainable=False,
        name=f"{name}_basis",
    )
