"""Converts a model back to plain Keras layers, in their cheapest form."""

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.folded_layers import folded_pair
from keras_basisprune.graph.norm_factor import norm_factor
from keras_basisprune.graph.released_norm import released_norm
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.rules import (
    defines,
    rule_of,
    without_lora,
)
from keras_basisprune.graph.trace import trace
from keras_basisprune.surgery.fold_channel_masks import fold_channel_masks
from keras_basisprune.surgery.without_rounding import without_rounding
from keras_basisprune.utils.check_flag import check_flag


def fold(model: keras.Model, *, batch_norm: bool = True) -> keras.Model:
    """Folds scales, BatchNormalization and LoRA into plain Keras layers.

    Scales and masks are multiplied into the kernel after them. Per layer the form with
    fewer weights is kept: two convolutions `<layer>_basis` and `<layer>` with
    `r (n + cout)` weights, or one merged `<layer>` with `n cout`. A BatchNormalization
    that is the only reader of a convolution or dense layer without activation is
    multiplied into it, in its form for inference, unless it was called with
    `training=True`. LoRA is merged into the kernels, unless they are quantized. Factors
    of channels (`layers.TrainedMask`) are multiplied into the convolutions and dense
    layers that read them; for other readers a `keras.layers.Rescaling` holds them. What
    `methods.slimming` regularizes has the regularizer from before again. A model that
    was trained with rounding (`quantize_aware`) computes in float again. All
    layers of the result are Keras' own (and custom layers of the model); those made
    here are trainable. Folding twice changes nothing. The given model is not changed.
    Time is that of one matrix product per merged layer.

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
    model = fold_channel_masks(without_rounding(model))
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
            return released_norm(layer, name) or _without_lora(layer, name)
        if id(layer) in heads:
            return _fold_pair(heads[id(layer)], *factors[id(layer)])
        return [rule_of(layer).fold(layer, name, *factors[id(layer)])]

    return rewrite(model, replace, traced)


def _followers(traced):
    """Maps `id(layer)` to a call of the layer that is the only reader of its outputs.

    Layers that are called with `training=True` are not included.
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
    if not defines(rule_of(layer), "fold") or layer.quantization_mode:
        return False
    linear = keras.activations.linear
    return getattr(layer, "activation", linear) is linear


def _norms(layer, followers):
    """Returns the BatchNormalizations that follow `layer` directly, in order."""
    linear = keras.activations.linear
    if getattr(layer, "activation", linear) is not linear or layer.activity_regularizer:
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
    """Returns the factor and offset per channel of successive BatchNormalizations."""
    factor, offset = np.float64(1), np.float64(0)
    for norm in norms:
        own = norm_factor(norm)
        beta = _array(norm.beta) if norm.center else 0
        factor, offset = factor * own, (offset - _array(norm.moving_mean)) * own + beta
    return factor, offset


def _array(variable):
    """Returns a weight as a float64 array."""
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _fold_pair(pair, factor, offset) -> list[NewLayer]:
    scaling = pair.scaling
    kept = np.flatnonzero(pair.mask)
    if not kept.size:
        kept = np.arange(1)
    filters = _array(rule_of(pair.basis).matrix(pair.basis))[:, kept]
    back = (scaling.factors()[:, None] * _array(scaling.kernel))[kept]
    bias = _array(scaling.bias) if scaling.use_bias else 0
    if scaling.centered:
        bias = bias - _array(scaling.mean)[kept] @ back
    back = back * factor
    bias = np.broadcast_to(bias * factor + offset, back.shape[1:])
    if not (scaling.use_bias or np.any(offset)):
        bias = None
    *first, last = folded_pair(pair, filters, back, bias)
    return [*first, *_with_output_side(last, scaling)]


def _with_output_side(new, scaling) -> list[NewLayer]:
    """Returns a layer with the activation and activity regularizer of `scaling`."""
    activation, linear = scaling.activation, keras.activations.linear
    if activation is linear or hasattr(new.layer, "activation"):
        if activation is not linear:
            new.layer.activation = activation
        new.layer.activity_regularizer = scaling.activity_regularizer
        return [new]
    after = keras.layers.Activation(
        activation,
        activity_regularizer=scaling.activity_regularizer,
        dtype=scaling.dtype_policy,
        name=f"{new.layer.name}_activation",
    )
    return [new, NewLayer(after)]


def _without_lora(layer, name) -> list[NewLayer] | None:
    """Returns a layer with its LoRA merged; `None` without LoRA, or if quantized."""
    rule = rule_of(layer)
    key = None if rule is None else rule.adapted
    changes = without_lora(layer) if key else {}
    if key is None or not changes or layer.quantization_mode:
        return None
    merged = {key: keras.ops.convert_to_numpy(getattr(layer, key))}
    return [NewLayer(clone(layer, name, **changes), merged)]
