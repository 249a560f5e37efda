"""Copies weights into layers that take the place of others."""

import dataclasses
import operator

import keras
import numpy as np

from keras_basisprune.graph.trace import is_from_keras


def load_weights(chain, source):
    """Gives built layers their weights: the stated ones, or those of `source`.

    Args:
        chain: A list of `NewLayer`s that replace `source`. Their arrays are freed.
        source: The layer (or other operation) that they replace.

    Raises:
        ValueError: If a layer of the same class lacks a weight, or has one of another
            shape without a stated value; or if a stated attribute is not a weight.
    """
    same = len(chain) == 1 and type(chain[0].layer) is type(source)
    if same:
        _build_activation(source, chain[0].layer)
    if same and not chain[0].weights:
        _carry(source, chain[0].layer)
    elif same:
        _carry_the_rest(source, chain[0])
    for position, item in enumerate(chain):
        for attribute, value in item.weights.items():
            _weight(item.layer, attribute).assign(_copy(value))
        chain[position] = dataclasses.replace(item, weights={})  # frees the arrays


def _build_activation(old, new):
    """Builds an activation with weights, which Keras builds only on real inputs."""
    old, new = (getattr(layer, "activation", None) for layer in (old, new))
    if all(isinstance(layer, keras.layers.Layer) for layer in (old, new)):
        if old.weights and not new.built:
            new.build_from_config(old.get_build_config())


def _weight(layer, attribute):
    """Returns the weight that an attribute of a layer holds."""
    found = operator.attrgetter(attribute)(layer)
    if not isinstance(found, keras.Variable):
        raise ValueError(
            f"Expected `{attribute}` to name a weight of `{layer.name}` (of type "
            f"{type(layer).__name__}). Received: an attribute of type "
            f"{type(found).__name__}, which can't be assigned to. Name the weight that "
            "it is computed from."
        )
    return found


def _carry_the_rest(old, item):
    """Copies to a layer those weights of `old` that are not stated."""
    stated = {id(_weight(item.layer, attribute)) for attribute in item.weights}
    for before, after in _partners(old, item.layer):
        if id(after) in stated:
            continue
        if before.shape != after.shape:
            raise ValueError(
                f"Expected the rule for `{old.name}` (of type {type(old).__name__}) to "
                f"return all weights that change. Received: none for "
                f"`{before.name}`, whose shape is {tuple(before.shape)} in the model "
                f"and {tuple(after.shape)} in the new one. Return it from `cut`."
            )
        after.assign(_copy(before))


def _partners(old, new):
    """Pairs the variables of two layers of a class: by name, or else by order.

    The order differs between a layer that was quantized or adapted (LoRA) later and
    one that was built that way.
    """
    paths = [[_path(v, layer) for v in layer.variables] for layer in (old, new)]
    if all(len(set(found)) == len(found) for found in paths):
        found = dict(zip(paths[1], new.variables, strict=True))
        named = zip(paths[0], old.variables, strict=True)
        if paths[0] and found.keys() <= set(paths[0]):
            return [(v, found[path]) for path, v in named if path in found]
    if len(old.variables) != len(new.variables):
        return []
    return list(zip(old.variables, new.variables, strict=True))


def _path(variable, layer):
    return variable.path.removeprefix(f"{layer.path}/")


def _carry(old, new):
    if not isinstance(old, keras.layers.Layer):
        return
    pairs = _partners(old, new)
    shapes = [[tuple(v.shape) for v in layer.variables] for layer in (old, new)]
    alike = all(before.shape == after.shape for before, after in pairs)
    if not (alike and len(pairs) == len(shapes[0]) == len(shapes[1])):
        remedy = "Let its `get_config()` describe the layer fully."
        if is_from_keras(type(old)):  # they do, except for changes to sublayers
            remedy = (
                "Work on the model as it was before layers inside of this one were "
                "quantized or got LoRA."
            )
        raise ValueError(
            f"Expected a clone of `{old.name}` (of type {type(old).__name__}) to have "
            f"weights of the same shapes. Received: {shapes[0]} in the model, "
            f"{shapes[1]} in the clone. {remedy}"
        )
    for before, after in pairs:
        after.assign(_copy(before))
    for state in ("is_gptq_calibrated", "is_awq_calibrated"):
        if hasattr(old, state):
            setattr(new, state, getattr(old, state))
    if isinstance(new, keras.layers.Normalization):
        new.finalize_state()  # it caches mean and variance
    if hasattr(new, "set_vocabulary"):
        new.set_vocabulary(old.get_vocabulary())


def _copy(value):
    """Returns a copy of a variable's value as an array.

    On JAX both models would share the buffer, and training one would donate it.
    """
    if isinstance(value, np.ndarray):
        return value
    return np.array(keras.ops.convert_to_numpy(value))
