"""Reads a Keras model as a flat list of layer calls, nested models inlined."""

import dataclasses
import inspect
from typing import Any

import keras

from keras_basisprune.graph._remembered import remembered
from keras_basisprune.graph.describe_non_model import describe_non_model
from keras_basisprune.utils.check_shape import check_shape


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of one operation.

    Attributes:
        op: The `keras.layers.Layer`, or another `keras.Operation` (an operator
            such as `x + y` or a `keras.ops` function).
        args: Positional arguments, `KerasTensor`s among them.
        kwargs: Keyword arguments, a `training` given to an enclosing model included.
        outputs: Structure of `KerasTensor`s that the call returns.
        scope: Names of the enclosing nested models, outermost first.
    """

    op: keras.Operation
    args: tuple
    kwargs: dict[str, Any]
    outputs: Any
    scope: tuple[str, ...] = ()

    @property
    def input_tensors(self) -> list:
        """The `KerasTensor`s among the arguments, in order."""
        return [t for t in keras.tree.flatten((self.args, self.kwargs)) if _symbolic(t)]

    @property
    def output_tensors(self) -> list:
        """The `KerasTensor`s that the call returns, in order."""
        return keras.tree.flatten(self.outputs)


@dataclasses.dataclass(frozen=True)
class Trace:
    """A model as values: inputs, calls in execution order, outputs.

    Attributes:
        inputs: Structure of input `KerasTensor`s, as the model takes them.
        input_layers: Flat list of the model's `InputLayer`s, one per input.
        calls: Every call that an output depends on, nested models inlined.
        outputs: Structure of `KerasTensor`s, as the model returns them.
    """

    inputs: Any
    input_layers: list
    calls: list[Call]
    outputs: Any

    def consumers(self) -> dict[int, list[Call]]:
        """Maps `id(tensor)` to the calls that read the tensor."""
        readers: dict[int, list[Call]] = {}
        for call in self.calls:
            for tensor in {id(t): t for t in call.input_tensors}.values():
                readers.setdefault(id(tensor), []).append(call)
        return readers

    def producers(self) -> dict[int, Call]:
        """Maps `id(tensor)` to the call that returns the tensor."""
        return {id(t): call for call in self.calls for t in call.output_tensors}


def trace(model: keras.Model, input_shape=None, argument="model") -> Trace:
    """Reads a Functional or Sequential model as a flat list of calls.

    Nested models are inlined, once per call; their calls that no output of the model
    depends on are left out. The model is not changed: no layer gains a node. Time
    and memory are linear in the number of calls (times the depth of nesting); no weight
    is read.

    A model is read once: its `Trace` is stored with it and returned again, until a
    Sequential model in it has gained or lost a layer. So a `Trace` must never be
    changed. With an `input_shape`, the model is read again.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        input_shape: Shape of the input without the batch axis, for a model with one
            input whose sizes are `None`. Defaults to the model's own shape.
        argument: Name of the argument that held the model, for messages.

    Returns:
        A `Trace`. Shapes of its tensors follow `input_shape`.

    Raises:
        ValueError: If the model is subclassed or not built.
    """
    check_model(argument, model)
    if input_shape is None:
        return remembered(model, lambda: _used(_Reader().read(model)))
    input_shape = check_shape("input_shape", input_shape)
    if len(model.inputs) != 1:
        raise ValueError(
            "Expected `input_shape=None` for a model with several inputs. "
            f"Received: input_shape={input_shape}, {len(model.inputs)} inputs. "
            "Give the sizes to `keras.Input` when you build the model."
        )
    shapes = [(model.inputs[0].shape[0], *input_shape)]
    own = model.inputs[0].shape[1:]
    fits = len(own) == len(input_shape) and all(
        size in (None, new) for size, new in zip(own, input_shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `input_shape` to fit the model's input of shape {own}. "
            f"Received: input_shape={input_shape}. Pass sizes where it has None."
        )
    return _used(_Reader().read(model, shapes))


def _used(traced) -> Trace:
    """Removes calls that only lead to unread outputs of nested models."""
    needed = {id(tensor) for tensor in keras.tree.flatten(traced.outputs)}
    calls = []
    for call in reversed(traced.calls):
        if not needed.isdisjoint(map(id, call.output_tensors)):
            needed |= {id(tensor) for tensor in call.input_tensors}
            calls.append(call)
    return dataclasses.replace(traced, calls=calls[::-1])


def check_model(argument, model, readable=True):
    """Raises a `ValueError` unless an argument is a model whose layers can be read.

    Args:
        argument: Name of the argument, for the message.
        model: What should be a built Functional or Sequential `keras.Model`.
        readable: Whether it must be one; otherwise any `keras.Model` is accepted.
    """
    if not (is_graph(model) if readable else isinstance(model, keras.Model)):
        received = " ".join(repr(model).split())
        received = received if len(received) < 120 else f"{received[:117]}..."
        raise ValueError(
            f"Expected `{argument}` to be a built Functional or Sequential "
            f"`keras.Model`. Received: {argument}={received} (of type "
            f"{type(model).__name__}). {describe_non_model(model)}"
        )


def is_graph(op) -> bool:
    """Returns whether `op` is a Functional or Sequential model, which can be read."""
    if not (isinstance(op, keras.Model) and is_from_keras(type(op).call)):
        return False  # an overridden `call` may do more than the layers
    kinds = keras.Sequential | keras.Function
    return isinstance(op, kinds) and getattr(op, "inputs", None) is not None


class _Probe(keras.Operation):
    """Replaces an operation while its model is read, so that it gains no node."""

    def __init__(self, output_spec):
        super().__init__()
        self._output_spec = output_spec

    def compute_output_spec(self, *args, **kwargs):
        return self._output_spec(*args, **kwargs)

    def call(self, *args, **kwargs):
        raise NotImplementedError("A probe is only called on symbolic tensors.")


class _Reader:
    """Reads one model; a nested model is read by another reader, once per call."""

    def __init__(self, training=None, scope=()):
        self._training = training
        self._scope = scope
        self._calls: list[Call] = []
        self._alias: dict[int, tuple] = {}  # holds both tensors, so ids stay taken

    def read(self, model, shapes=None) -> Trace:
        graph = _plain_functional(model)
        inputs = _fresh_inputs(graph, shapes)
        walked = keras.models.clone_model(
            graph,
            input_tensors=inputs,
            clone_function=lambda op: op,
            call_function=self._visit,
        )
        outputs = self._resolved(walked.output)
        return Trace(inputs, _input_layers(graph), self._calls, outputs)

    def _visit(self, op, *args, **kwargs):
        given = kwargs  # the arguments that shapes depend on
        if self._training is not None and _takes_training(op):
            kwargs = {**kwargs, "training": self._training}
        if is_graph(op):
            return self._visit_model(op, args, kwargs)
        outputs = _Probe(op.compute_output_spec)(*args, **given)
        args, kwargs = self._resolved((args, kwargs))
        self._calls.append(Call(op, args, kwargs, outputs, self._scope))
        return outputs

    def _visit_model(self, model, args, kwargs):
        given = _arranged(args[0] if args else kwargs["inputs"], model)
        training = kwargs.get("training", self._training)
        reader = _Reader(training, (*self._scope, model.name))
        shapes = [
            own.shape if tensor is None else tensor.shape
            for own, tensor in zip(model.inputs, given, strict=True)
        ]
        inner = reader.read(model, shapes)
        for mine, theirs in zip(keras.tree.flatten(inner.inputs), given, strict=True):
            self._alias[id(mine)] = (mine, self._cast(self._resolve(theirs), mine))
        for call in inner.calls:
            renamed = self._resolved({"args": call.args, "kwargs": call.kwargs})
            self._calls.append(dataclasses.replace(call, **renamed))
        spec = keras.tree.map_structure(
            lambda t: keras.KerasTensor(t.shape, dtype=t.dtype), inner.outputs
        )
        outputs = _Probe(lambda *_, **__: spec)(*args, **kwargs)
        made = zip(*map(keras.tree.flatten, (outputs, inner.outputs)), strict=True)
        self._alias |= {id(mine): (mine, self._resolve(its)) for mine, its in made}
        return outputs

    def _cast(self, tensor, like):
        """Casts an input as a nested model does when it is called."""
        if tensor is None or tensor.dtype == like.dtype:
            return tensor
        source = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
        casting = keras.Function(source, keras.ops.cast(source, like.dtype))
        op = casting.operations[-1]
        outputs = _Probe(op.compute_output_spec)(tensor)
        self._calls.append(Call(op, (tensor,), {}, outputs, self._scope))
        return outputs

    def _resolve(self, tensor):
        while id(tensor) in self._alias:
            tensor = self._alias[id(tensor)][1]
        return tensor

    def _resolved(self, structure):
        return keras.tree.map_structure(self._resolve, structure)


def _plain_functional(model):
    """Returns a plain Functional model of the same graph, not compiled."""
    if isinstance(model, keras.Sequential):
        outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
        return keras.Model(model.inputs[0], outputs, name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


def _input_layers(graph):
    layers = [x for x in graph.layers if isinstance(x, keras.layers.InputLayer)]
    by_tensor = {id(layer.output): layer for layer in layers}
    return [by_tensor[id(tensor)] for tensor in graph.inputs]


def _fresh_inputs(graph, shapes):
    if shapes is None:
        shapes = [t.shape for t in graph.inputs]
    flat = [
        keras.Input(batch_shape=shape, dtype=t.dtype, sparse=t.sparse, name=t.name)
        for shape, t in zip(shapes, graph.inputs, strict=True)
    ]
    return keras.tree.pack_sequence_as(graph.input, flat)


def _arranged(given, model) -> list:
    """Returns the tensors passed to a nested model, in the order of its inputs."""
    own = model.inputs if isinstance(model, keras.Sequential) else model.input
    if isinstance(given, dict) and not isinstance(own, dict):
        return [given[tensor.name] for tensor in model.inputs]
    return keras.tree.flatten(given)


def _symbolic(value) -> bool:
    return isinstance(value, keras.KerasTensor)


def _takes_training(op) -> bool:
    """Returns whether `training` matters: a custom layer may pass it to sublayers."""
    if not isinstance(op, keras.layers.Layer):
        return False
    accepts = "training" in inspect.signature(op.call).parameters
    return accepts or not is_from_keras(type(op))


def is_from_keras(thing) -> bool:
    """Returns whether Keras itself defines a class or function."""
    return thing.__module__.startswith("keras.")
