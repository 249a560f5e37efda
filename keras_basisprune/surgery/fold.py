"""Bring a converted model back to plain Keras layers, in their cheapest form."""

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.decomposable import CONVOLUTIONS
from keras_basisprune.graph.norm_factor import norm_factor
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.utils.check_flag import check_flag

_OUTPUT_LAST = (*CONVOLUTIONS, keras.layers.Dense)  # kernels of shape (..., cout)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_ADAPTED = (*_OUTPUT_LAST, keras.layers.EinsumDense, keras.layers.Embedding)
_FOLDABLE = (*_OUTPUT_LAST, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE)


def fold(model: keras.Model, batch_norm: bool = True) -> keras.Model:
    """Folds scales, BatchNormalization and LoRA into plain Keras layers.

    Scales and masks are multiplied into the kernel behind them. Per layer the form
    with fewer weights is kept: two convolutions `<layer>_basis` and `<layer>` with
    `r (n + cout)` weights, or one merged `<layer>` with `n cout`. A BatchNormalization
    that is the only reader of a convolution or dense layer without activation is
    multiplied into it, unless it was called with `training=True`; it is taken as it
    is in inference. LoRA is merged into the kernels, unless they are quantized. All
    layers of the result are Keras' own (and the user's), and trainable where they were
    made here. Folding twice changes nothing. The given model is not changed. Time is
    that of one matrix product per merged layer.

    Args:
        model: A converted, pruned or ordinary Functional or Sequential model.
        batch_norm: Boolean, whether BatchNormalization is folded too.

    Returns:
        A Functional `keras.Model`, not compiled, whose inference outputs equal those
        of `model` up to rounding.

    Raises:
        ValueError: If the model is subclassed or not built.

    Example:

    >>> plain = keras_basisprune.fold(keras_basisprune.prune(model))
    >>> plain.save("small.keras")  # loads with keras alone
    """
    batch_norm = check_flag("batch_norm", batch_norm)
    traced = trace(model)
    followers = _followers(traced)
    pairs = basis_pairs(traced)
    heads = {id(pair.scaling): pair for pair in pairs.values()}
    gone: set[int] = {id(pair.basis) for pair in pairs.values()}
    factors: dict[int, tuple] = {}
    for call in traced.calls:
        layer = call.op
        if id(layer) in factors or not (id(layer) in heads or _is_linear(layer)):
            continue
        norms = _norms(layer, followers) if batch_norm else []
        if norms or id(layer) in heads:
            factors[id(layer)] = _factor(norms)
            gone |= {id(norm) for norm in norms}

    def replace(layer, name):
        if id(layer) in gone:
            return []
        if id(layer) not in factors:
            return _without_lora(layer, name)
        if id(layer) in heads:
            return _fold_pair(heads[id(layer)], *factors[id(layer)])
        return [_fold_layer(layer, name, *factors[id(layer)])]

    return rewrite(model, replace, traced)


def _followers(traced):
    """Maps `id(layer)` to a call of the one layer that alone reads all that it makes.

    Layers that are called with `training=True` follow nobody.
    """
    consumers = traced.consumers()
    calls: dict[int, list] = {}
    for call in traced.calls:
        calls.setdefault(id(call.op), []).append(call)
    results = {id(t) for t in keras.tree.flatten(traced.outputs)}
    followers = {}
    for key, made in calls.items():
        outputs = [t for call in made for t in call.output_tensors]
        readers = [r for t in outputs for r in consumers.get(id(t), ())]
        if len(readers) != len(made) or len({id(r.op) for r in readers}) != 1:
            continue
        if any(id(t) in results for t in outputs):
            continue
        if len(calls[id(readers[0].op)]) == len(made) and all(
            len(r.input_tensors) == 1 and not r.kwargs.get("training") for r in readers
        ):
            followers[key] = readers[0]
    return followers


def _is_linear(layer):
    if type(layer) not in _FOLDABLE or layer.quantization_mode:
        return False
    return layer.activation is keras.activations.linear


def _norms(layer, followers):
    """The BatchNormalizations that follow `layer`, one directly after the other."""
    if layer.activation is not keras.activations.linear or layer.activity_regularizer:
        return []
    norms, at = [], layer
    while follower := followers.get(id(at)):
        norm = follower.op
        if type(norm) is not keras.layers.BatchNormalization:
            break
        shape = follower.input_tensors[0].shape
        axis = norm.axis if norm.axis >= 0 else norm.axis + len(shape)
        if axis != _channel_axis(layer, len(shape)):
            break
        norms.append(norm)
        at = norm
    return norms


def _channel_axis(layer, ndim):
    first = getattr(layer, "data_format", None) == "channels_first" and ndim > 2
    return 1 if first else ndim - 1


def _factor(norms):
    """The factor and offset per channel that BatchNormalizations amount to."""
    factor, offset = np.float64(1), np.float64(0)
    for norm in norms:
        own = norm_factor(norm)
        beta = _array(norm.beta) if norm.center else 0
        factor, offset = factor * own, (offset - _array(norm.moving_mean)) * own + beta
    return factor, offset


def _array(variable):
    """A weight as a float64 array."""
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _fold_pair(pair, factor, offset) -> list[NewLayer]:
    scaling = pair.scaling
    kept = np.flatnonzero(pair.mask)
    if not kept.size:
        kept = np.arange(1)
    filters = _array(pair.basis.kernel)[..., kept]
    weigh = _array(scaling.scale) * _array(scaling.mask)
    back = (weigh[:, None] * _array(scaling.kernel))[kept]
    bias = _array(scaling.bias) if scaling.use_bias else 0
    if scaling.centered:
        bias = bias - _array(scaling.mean)[kept] @ back
    back = back * factor
    bias = np.broadcast_to(bias * factor + offset, back.shape[1:])
    n, cout, r = filters[..., 0].size, back.shape[1], len(kept)
    last = {"bias": bias} if scaling.use_bias or np.any(offset) else {}
    if r * (n + cout) >= n * cout:
        merged = filters @ back
        layer = _plain(pair.basis, pair.name, cout, scaling, bool(last))
        return [NewLayer(layer, {"kernel": merged, **last})]
    first = _plain(pair.basis, f"{pair.name}_basis", r)
    second = _plain(pair.basis, pair.name, cout, scaling, bool(last), pointwise=True)
    shape = second.kernel_size if hasattr(second, "kernel_size") else ()
    back = back.reshape((*shape, r, cout))
    return [
        NewLayer(first, {"kernel": filters}),
        NewLayer(second, {"kernel": back, **last}),
    ]


def _plain(basis, name, width, scaling=None, use_bias=False, pointwise=False):
    """A plain layer of the kind of `basis`, with the output side of `scaling`."""
    dense = isinstance(basis, keras.layers.Dense)
    changes = {"units" if dense else "filters": width, "use_bias": use_bias}
    changes |= {"trainable": True, "kernel_initializer": "glorot_uniform"}
    if pointwise and not dense:
        ones = (1,) * len(basis.kernel_size)
        changes |= {"kernel_size": ones, "strides": ones, "dilation_rate": ones}
        changes["padding"] = "valid"
    layer = clone(basis, name, **changes)
    if scaling is not None:
        layer.activation = scaling.activation
        layer.activity_regularizer = scaling.activity_regularizer
    return layer


def _fold_layer(layer, name, factor, offset) -> NewLayer:
    """A plain layer with BatchNormalization multiplied in."""
    key = "pointwise_kernel" if type(layer) in _SEPARABLE else "kernel"
    kernel = _array(getattr(layer, key))
    if type(layer) in _DEPTHWISE:
        scaled = kernel * np.reshape(factor, kernel.shape[-2:])
    elif type(layer) in _TRANSPOSED:
        scaled = kernel * np.reshape(factor, (-1, 1))
    else:
        scaled = kernel * factor
    bias = _array(layer.bias) if layer.use_bias else 0
    weights = {key: scaled, "bias": bias * factor + offset}
    if type(layer) in _SEPARABLE:
        weights["depthwise_kernel"] = layer.depthwise_kernel
    return NewLayer(clone(layer, name, use_bias=True, **_lora(layer)), weights)


def _lora(layer) -> dict:
    """What changes in the config of a layer whose LoRA is merged."""
    if not getattr(layer, "lora_enabled", False):
        return {}
    return {"lora_rank": None, "lora_alpha": None}


def _without_lora(layer, name) -> list[NewLayer] | None:
    """A layer with its LoRA merged; `None` if there is none, or it is quantized too."""
    changes = _lora(layer) if type(layer) in _ADAPTED else {}
    if not changes or layer.quantization_mode:
        return None
    key = "embeddings" if type(layer) is keras.layers.Embedding else "kernel"
    merged = {key: keras.ops.convert_to_numpy(getattr(layer, key))}
    return [NewLayer(clone(layer, name, **changes), merged)]
