"""Copies of models of any kind."""

import keras
import numpy as np

from keras_basisprune.graph.rewrite import clone
from keras_basisprune.graph.trace import is_graph
from keras_basisprune.training.all_layers import all_layers


def copied(model, replaced=None):
    """Copies a model, with all its weights and states.

    Args:
        model: A built `keras.Model`.
        replaced: Dict from the `id` of a layer of a Functional or Sequential model to a
            new layer, unbuilt, that stands in its place and keeps its own weights.

    Returns:
        A `keras.Model` that shares nothing with the first one.

    Raises:
        ValueError: If the model, or a layer, can't be made again from its config.
    """
    replaced = replaced or {}
    try:
        new = _made(model, replaced)
    except Exception as error:
        raise _refusal(
            model,
            f"raised {type(error).__name__}: {' '.join(str(error).split())[:300]}",
        ) from error
    kept = {id(v) for layer in all_layers(model) if id(layer) in replaced
            for v in layer.variables}  # fmt: skip
    mine, its = model.variables, new.variables
    if len(mine) != len(its):
        raise _refusal(model, f"has {len(its)} variables, not {len(mine)}")
    for before, after in zip(mine, its, strict=True):
        if id(before) in kept:
            continue
        if tuple(before.shape) != tuple(after.shape):
            raise _refusal(model, f"has other shapes, for `{before.path}` say")
        after.assign(np.array(keras.ops.convert_to_numpy(before.value)))
    for before, after in zip(all_layers(model), all_layers(new), strict=False):
        if hasattr(after, "finalize_state"):
            after.finalize_state()  # `Normalization` caches its mean and variance
        if hasattr(after, "set_vocabulary") and hasattr(before, "get_vocabulary"):
            after.set_vocabulary(before.get_vocabulary())
    return new


def _made(model, replaced):
    """A model of the same architecture, weights not copied."""
    plain = (keras.Model, keras.Sequential, type(_functional()))
    if not is_graph(model) or not (type(model) in plain or replaced):
        try:
            new = type(model).from_config(model.get_config())
            if not (new.built and new.variables):
                new.build_from_config(model.get_build_config())
            return new
        except Exception:
            if not is_graph(model):
                raise
    known: dict[int, keras.layers.Layer] = {}

    def renewed(layer):
        if id(layer) not in known:
            nested = type(layer) in plain and is_graph(layer)
            made = replaced.get(id(layer))
            made = made or (_made(layer, {}) if nested else clone(layer, layer.name))
            known[id(layer)] = made
        return known[id(layer)]

    return keras.models.clone_model(model, clone_function=renewed)


def _functional():
    return keras.Model(*[keras.Input((1,))] * 2)


def _refusal(model, reason):
    return ValueError(
        "Expected `base` to be a model that can be made again from its config. "
        f"Received: {model.name!r} (of type {type(model).__name__}), whose copy "
        f"{reason}. Give it a `get_config()` with all its constructor's arguments, or "
        "use `apply_in_place`, which needs no copy."
    )
