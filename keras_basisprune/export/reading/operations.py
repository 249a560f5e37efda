"""The operations of a `.tflite` file, with their input and output tensors."""

import dataclasses
import pathlib

import numpy as np

_LOOP = "WHILE"


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        dtype: Its type as the schema names it: `"FLOAT32"`, `"INT8"`, ...
        shape: Tuple of sizes; 1 for an unknown one.
        buffer: Number of the buffer that holds its values; `None` if it is computed.
    """

    dtype: str
    shape: tuple[int, ...]
    buffer: int | None


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a file.

    Attributes:
        name: Its name in the schema, or that of a custom operation.
        builtin: Whether it is built into LiteRT.
        inputs: Tuple of `Tensor`s; `None` for an omitted one.
        outputs: Tuple of `Tensor`s; `None` for an omitted one.
        times: How often it runs: the number of iterations of the loops around it, if
            the file states it.
    """

    name: str
    builtin: bool
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    times: int


def operations(path) -> list[Operation]:
    """Reads the operations of a file.

    Args:
        path: The path of the file.

    Returns:
        The `Operation`s of the main graph, and of the bodies of its loops.
    """
    model = open_file(path)
    names = _names(model)
    times = _times(model, names)
    found = []
    for at, subgraph in enumerate(subgraphs(model)):
        tensors = _tensors(model, subgraph)
        for operator in _operators(subgraph):
            name, builtin = names[operator.OpcodeIndex()]
            inputs, outputs = (
                tuple(tensors[index] if index >= 0 else None for index in indices)
                for indices in (
                    _listed(operator, "Inputs"),
                    _listed(operator, "Outputs"),
                )
            )
            found.append(Operation(name, builtin, inputs, outputs, times.get(at, 1)))
    return found


def open_file(path):
    """Opens a file as a flatbuffer; its parts are read on access."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(pathlib.Path(path).read_bytes(), 0)


def subgraphs(model):
    """Returns the graphs of a file: the main one and the bodies of its loops."""
    return map(model.Subgraphs, range(model.SubgraphsLength()))


def _names(model) -> list[tuple[str, bool]]:
    """Returns, for each operator code, its name and whether it is built in."""
    from ai_edge_litert import schema_py_generated as schema

    builtin_names = _words(schema.BuiltinOperator)
    names = []
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        # Files from before 2020 keep the code in the narrow, deprecated field.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin == schema.BuiltinOperator.CUSTOM:
            names.append((code.CustomCode().decode(), False))
        else:
            names.append((builtin_names[builtin], True))
    return names


def _tensors(model, subgraph) -> list[Tensor]:
    from ai_edge_litert import schema_py_generated as schema

    types = _words(schema.TensorType)
    found = []
    for index in range(subgraph.TensorsLength()):
        tensor = subgraph.Tensors(index)
        shape = tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else ()
        held = model.Buffers(tensor.Buffer()).DataLength() > 0
        buffer = tensor.Buffer() if held else None
        found.append(Tensor(types[tensor.Type()], tuple(shape), buffer))
    return found


def _times(model, names) -> dict[int, int]:
    """Returns how often each graph runs, by its number."""
    from ai_edge_litert import schema_py_generated as schema

    times = {0: 1}
    for at, subgraph in enumerate(subgraphs(model)):  # loops come before their bodies
        for operator in _operators(subgraph):
            if names[operator.OpcodeIndex()][0] != _LOOP:
                continue
            given, options = operator.BuiltinOptions(), schema.WhileOptions()
            options.Init(given.Bytes, given.Pos)
            condition = options.CondSubgraphIndex()
            trips = times.get(at, 1) * _trips(model, model.Subgraphs(condition), names)
            times |= {condition: trips, options.BodySubgraphIndex(): trips}
    return times


def _trips(model, condition, names) -> int:
    """Returns the smallest number that a loop's condition compares counters with."""
    limits = []
    for operator in _operators(condition):
        if names[operator.OpcodeIndex()][0] != "LESS":
            continue
        for index in _listed(operator, "Inputs"):
            buffer = model.Buffers(condition.Tensors(index).Buffer())
            if buffer.DataLength() == np.dtype("int32").itemsize:
                limits.append(int(buffer.DataAsNumpy().view("int32")[0]))
    return max(1, min(limits, default=1))


def _operators(subgraph):
    return map(subgraph.Operators, range(subgraph.OperatorsLength()))


def _listed(operator, what) -> list[int]:
    count = getattr(operator, f"{what}Length")()
    return [getattr(operator, what)(index) for index in range(count)]


def _words(enumeration) -> dict[int, str]:
    """Maps the numbers of one of the schema's enumerations to their names."""
    items = vars(enumeration).items()
    return {value: name for name, value in items if isinstance(value, int)}
