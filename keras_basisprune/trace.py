"""Read a Keras model as a flat list of layer calls, nested models inlined."""

import dataclasses
import inspect
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of one operation.

    Attributes:
        op: The `keras.layers.Layer`, or another `keras.Operation` (an operator
            such as `x + y` or a `keras.ops` function).
        args: Positional arguments, `KerasTensor`s among them.
        kwargs: Keyword arguments, a `training` given to an enclosing model included.
        outputs: Structure of `KerasTensor`s that the call makes.
        scope: Names of the enclosing nested models, outermost first.
        trainable: `False` if an enclosing nested model is frozen.
    """

    op: keras.Operation
    args: tuple
    kwargs: dict[str, Any]
    outputs: Any
    scope: tuple[str, ...] = ()
    trainable: bool = True

    @property
    def input_tensors(self) -> list:
        """The `KerasTensor`s among the arguments, in order."""
        return [t for t in keras.tree.flatten((self.args, self.kwargs)) if _symbolic(t)]

    @property
    def output_tensors(self) -> list:
        """The `KerasTensor`s that the call makes, in order."""
        return keras.tree.flatten(self.outputs)


@dataclasses.dataclass(frozen=True)
class Trace:
    """A model as values: inputs, calls in execution order, outputs.

    Attributes:
        inputs: Structure of input `KerasTensor`s, as the model takes them.
        input_layers: Flat list of the model's `InputLayer`s, one per input.
        calls: Every call, nested models inlined.
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
        """Maps `id(tensor)` to the call that makes the tensor."""
        return {id(t): call for call in self.calls for t in call.output_tensors}


def trace(model: keras.Model, input_shape=None) -> Trace:
    """Reads a Functional or Sequential model as a flat list of calls.

    Nested models are inlined, once per call. The model is not changed: no layer
    gains a node. Time and memory are linear in the number of calls (times the
    depth of nesting); no weight is touched.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        input_shape: Shape of the input without the batch axis, for a model with one
            input whose sizes are `None`. Defaults to the model's own shape.

    Returns:
        A `Trace`. Shapes of its tensors follow `input_shape`.

    Raises:
        ValueError: If the model is subclassed or not built.
    """
    if not is_graph(model):
        raise ValueError(
            "Expected `model` to be a built Functional or Sequential `keras.Model`. "
            f"Received: model={model!r} (of type {type(model).__name__}). "
            "A subclassed model hides its layers inside `call()`: build a Functional "
            "one with `keras.Model(inputs, outputs)`. A Sequential model is built by "
            "a leading `keras.Input(shape)` or by `model.build(input_shape)`."
        )
    shapes = None
    if input_shape is not None:
        if len(model.inputs) != 1:
            raise ValueError(
                "Expected `input_shape=None` for a model with several inputs. "
                f"Received: input_shape={input_shape}, {len(model.inputs)} inputs. "
                "Give the sizes to `keras.Input` when you build the model."
            )
        shapes = [(model.inputs[0].shape[0], *input_shape)]
    return _read(model, shapes, training=None, scope=(), trainable=True)


def is_graph(op) -> bool:
    """Whether `op` is a model whose layers can be read (Functional or Sequential)."""
    if isinstance(op, keras.Sequential):
        return op.built and bool(op.layers)
    return isinstance(op, keras.Model) and isinstance(op, keras.Function)


class _Probe(keras.Operation):
    """Stands in for an operation while its model is read, so that it gains no node."""

    def __init__(self, output_spec):
        super().__init__()
        self._output_spec = output_spec

    def compute_output_spec(self, *args, **kwargs):
        return self._output_spec(*args, **kwargs)

    def call(self, *args, **kwargs):
        raise NotImplementedError("A probe is only ever called on symbolic tensors.")


def _read(model, shapes, training, scope, trainable) -> Trace:
    graph = _plain_functional(model)
    inputs = _fresh_inputs(graph, shapes)
    calls: list[Call] = []
    alias: dict[int, Any] = {}

    def resolve(tensor):
        while id(tensor) in alias:
            tensor = alias[id(tensor)]
        return tensor

    def visit(op, *args, **kwargs):
        if training is not None and _accepts(op, "training"):
            kwargs = {**kwargs, "training": training}
        if not is_graph(op):
            outputs = _Probe(op.compute_output_spec)(*args, **kwargs)
            args, kwargs = keras.tree.map_structure(resolve, (args, kwargs))
            calls.append(Call(op, args, kwargs, outputs, scope, trainable))
            return outputs
        given = keras.tree.flatten(args[0] if args else kwargs["inputs"])
        inner = _read(
            op,
            [t.shape for t in given],
            kwargs.get("training", training),
            (*scope, op.name),
            trainable and op.trainable,
        )
        for mine, theirs in zip(keras.tree.flatten(inner.inputs), given, strict=True):
            alias[id(mine)] = resolve(theirs)
        calls.extend(_resolved(call, resolve) for call in inner.calls)
        spec = keras.tree.map_structure(_spec, inner.outputs)
        outputs = _Probe(lambda *_, **__: spec)(*args, **kwargs)
        for mine, theirs in zip(
            keras.tree.flatten(outputs), keras.tree.flatten(inner.outputs), strict=True
        ):
            alias[id(mine)] = resolve(theirs)
        return outputs

    walked = keras.models.clone_model(
        graph,
        input_tensors=inputs,
        clone_function=lambda op: op,
        call_function=visit,
    )
    outputs = keras.tree.map_structure(resolve, walked.output)
    return Trace(inputs, _input_layers(graph), calls, outputs)


def _plain_functional(model):
    """The same graph without compile state, subclass or Sequential shell."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


def _input_layers(graph):
    layers = [x for x in graph.layers if isinstance(x, keras.layers.InputLayer)]
    by_tensor = {id(layer.output): layer for layer in layers}
    return [by_tensor[id(tensor)] for tensor in graph.inputs]


def _fresh_inputs(graph, shapes):
    if shapes is None:
        shapes = [t.shape for t in graph.inputs]
    flat = [
        keras.Input(batch_shape=shape, dtype=t.dtype, name=t.name)
        for shape, t in zip(shapes, graph.inputs, strict=True)
    ]
    return keras.tree.pack_sequence_as(graph.input, flat)


def _resolved(call, resolve):
    args, kwargs = keras.tree.map_structure(resolve, (call.args, call.kwargs))
    return dataclasses.replace(call, args=args, kwargs=kwargs)


def _spec(tensor):
    return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)


def _symbolic(value) -> bool:
    return isinstance(value, keras.KerasTensor)


def _accepts(op, argument) -> bool:
    return argument in inspect.signature(op.call).parameters
