"""Clones a model while replacing layers; flattens nested models; copies weights."""

import dataclasses
import operator
import types
from collections.abc import Callable, Sequence

import keras
import numpy as np

from keras_basisprune.graph._load_weights import load_weights
from keras_basisprune.graph.fitting_layouts import fitting_layouts
from keras_basisprune.graph.flat_names import unique_name
from keras_basisprune.graph.trace import Call, Trace, is_from_keras, trace


@dataclasses.dataclass(frozen=True)
class NewLayer:
    """A layer that replaces another one, with its weights.

    Attributes:
        layer: An unbuilt `keras.layers.Layer` (or other operation). It is renamed if
            its name is taken.
        weights: Maps attribute names of the built layer (`"kernel"`, `"bias"`, or
            `"query_dense.kernel"`) to arrays. If it replaces a layer of the same class,
            other weights are copied from there, where their shapes agree.
    """

    layer: keras.layers.Layer
    weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


Replace = Callable[[keras.Operation, str], Sequence[NewLayer] | None]


def flatten(model: keras.Model) -> keras.Model:
    """Clones a model with every nested model inlined.

    The result is one Functional model that computes the same function, with copied
    weights. Layers keep their names; if two nested models share one, the later
    becomes `<nested model>_<layer>`. A `training` argument given to a nested model is
    passed to each of its layers. Each layer keeps its own `trainable` flag (freezing a
    nested model sets those of its layers).

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        A `keras.Model` without nested Functional or Sequential models, not compiled.

    Raises:
        ValueError: If the model is subclassed or not built, or a layer can't be
            cloned from its config.

    Example:

    >>> base = keras.applications.MobileNet(include_top=False, weights=None)
    >>> model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D()])
    >>> len(model.layers), len(flatten(model).layers)
    (2, 87)
    """
    return rewrite(model, lambda layer, name: None)


@fitting_layouts()
def rewrite(
    model: keras.Model,
    replace: Replace,
    traced: Trace | None = None,
    arguments: Callable | None = None,
    became: dict[int, list[Call]] | None = None,
) -> keras.Model:
    """Clones a model while replacing layers, and copies all weights.

    Nested models are inlined. Shared layers stay shared: a layer is cloned or replaced
    once and called as often as before. The given model is not changed. Time and
    memory are linear in the number of calls and weights.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        replace: `replace(layer, name)` is called once per layer (or other operation),
            where `name` is the layer's name in the new model. It returns `None` (clone
            the layer) or a list of `NewLayer`s to be applied one after the other
            instead. An empty list passes the input on.
        traced: The model's `Trace`, if it is known already. `replace` gets its
            operations.
        arguments: `arguments(call)` returns the args and kwargs for a call in the new
            model. Defaults to those of the call.
        became: A dict to be filled: it maps the `id` of each call of `traced` to the
            calls that replace it in the new model, one after the other. Their tensors
            belong to the graph of the new model.

    Returns:
        A Functional `keras.Model` with copied weights, not compiled.

    Raises:
        ValueError: If the model is subclassed or not built, or a layer can't be
            cloned from its config.
    """
    traced = traced or trace(model)
    inputs = [
        type(layer).from_config(layer.get_config()).output
        for layer in traced.input_layers
    ]
    old = keras.tree.flatten(traced.inputs)
    tensors = {id(a): b for a, b in zip(old, inputs, strict=True)}
    names = {layer.name for layer in traced.input_layers}
    chains: dict[int, list[NewLayer]] = {}

    def new(value):
        return tensors[id(value)] if isinstance(value, keras.KerasTensor) else value

    for call in traced.calls:
        if first := id(call.op) not in chains:
            chains[id(call.op)] = _chain(call, replace, names)
        given = arguments(call) if arguments else (call.args, call.kwargs)
        args, kwargs = keras.tree.map_structure(new, given)
        outputs, calls = _apply(chains[id(call.op)], args, kwargs, call.scope)
        if became is not None:
            became[id(call)] = calls
        if first:
            load_weights(chains[id(call.op)], call.op)
        made = keras.tree.flatten(outputs)
        for before, after in zip(call.output_tensors, made, strict=True):
            tensors[id(before)] = after

    return keras.Model(
        keras.tree.pack_sequence_as(traced.inputs, inputs),
        keras.tree.map_structure(new, traced.outputs),
        name=model.name,
    )


def clone(op: keras.Operation, name: str, **changes) -> keras.Operation:
    """Clones a layer or operation from its config, with some changes, unbuilt."""
    try:
        config = {**op.get_config(), "name": name, **changes}
        if functions := _functions(op, config.keys() - changes):
            return type(op)(**{**config, **functions})
        return type(op).from_config(config)
    except Exception as error:
        raise ValueError(
            f"Expected every layer of `model` to be clonable by its `get_config()`. "
            f"Received: `{op.name}` (of type {type(op).__name__}), which raised "
            f"{type(error).__name__}: {error}. Give the layer a `get_config()` that "
            "returns all of its constructor's arguments."
        ) from error


def built_chain(chain: Sequence[NewLayer], shape) -> Callable:
    """Builds layers that are not part of a model, and returns them as a function.

    Args:
        chain: A list of `NewLayer`s, to be applied one after the other.
        shape: Input shape of the first one, the batch axis included.

    Returns:
        A function from an array to an array.
    """
    for item in chain:
        item.layer.build(shape)
        shape = item.layer.compute_output_shape(shape)
        for attribute, value in item.weights.items():
            operator.attrgetter(attribute)(item.layer).assign(value)

    def apply(values):
        for item in chain:
            values = item.layer(values)
        return keras.ops.convert_to_numpy(values)

    return apply


def _functions(op, keys):
    """Returns the custom functions among a layer's constructor arguments.

    Configs hold them by name or as code, and can't be read back without registration.
    """
    if not is_from_keras(type(op).from_config):  # the layer can read its own config
        return {}
    found = {}
    for key in keys:
        value = getattr(op, key, None)
        kind = value if isinstance(value, types.FunctionType) else type(value)
        layer = isinstance(value, keras.layers.Layer)  # would be shared by both models
        if callable(value) and not layer and not is_from_keras(kind):
            found[key] = value
    if type(op) is keras.layers.Lambda:
        # The function of a loaded layer seems to come from Keras.
        found |= {"function": op.function, "arguments": op.arguments}
        if "output_shape" in keys:  # it has no public name
            found["output_shape"] = op._output_shape
    return found


def _chain(call, replace, names):
    """Returns the layers that replace `call.op`, with unique names."""
    name = unique_name(call.op.name, names, call.scope)
    news = replace(call.op, name)
    if news is None:
        news = [NewLayer(clone(call.op, name))]
    for position, item in enumerate(news):
        unique = unique_name(item.layer.name, names, call.scope)
        if unique != item.layer.name:
            item = dataclasses.replace(item, layer=clone(item.layer, unique))
            news[position] = item
        names.add(unique)
    if news:
        names.add(name)  # even of a replaced layer, since folding restores its name
    return news


def _apply(chain, args, kwargs, scope):
    """Calls the layers of a chain; returns the outputs and the `Call`s."""
    if not chain:
        return keras.tree.flatten((args, kwargs))[0], []
    calls = []
    for item in chain:
        outputs = item.layer(*args, **kwargs)
        calls.append(Call(item.layer, args, kwargs, outputs, scope))
        args, kwargs = (outputs,), {}
    return outputs, calls
