"""The operations of a quantized `.tflite` file that still compute in float."""

import collections
import dataclasses
import math

from keras_basisprune.export.reading.operations import operations

_FLOATS = frozenset("FLOAT16 BFLOAT16 FLOAT32 FLOAT64".split())
_INTEGERS = frozenset("INT2 INT4 UINT4 INT8 UINT8 INT16".split())
# Operations that convert between integers and floats, or call other operations.
_CONVERSIONS = frozenset("QUANTIZE DEQUANTIZE WHILE IF CALL CALL_ONCE".split())
_DATA_MOVEMENT = _CONVERSIONS | frozenset(
    """
    BATCH_TO_SPACE_ND BROADCAST_TO CAST CONCATENATION DEPTH_TO_SPACE
    DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EXPAND_DIMS FILL GATHER GATHER_ND
    MIRROR_PAD PACK PAD PADV2 RANGE RESHAPE REVERSE_V2 SHAPE SLICE
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE
    TRANSPOSE UNPACK ZEROS_LIKE
    """.split()
)
_BACKWARD = frozenset(["TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"])
_COUNTED = _BACKWARD | frozenset(
    "CONV_2D CONV_3D DEPTHWISE_CONV_2D FULLY_CONNECTED BATCH_MATMUL".split()
)


@dataclasses.dataclass(frozen=True)
class FloatWork:
    """The part of a file that computes in float.

    Attributes:
        ops: A dict from the names of operations in float to how often they occur, those
            with most FLOPs first.
        share: Their share of the FLOPs of all operations, 0 to 1.
        weights: The share of the weights that are integers; `None` if there are none.
    """

    ops: dict[str, int]
    share: float
    weights: float | None


def float_work(path, dynamic) -> FloatWork:
    """Finds the operations of a quantized file that compute in float.

    FLOPs are 2 x multiply-adds of operations that multiply by weights or tensors, and
    one per value of elementwise operations. A loop counts as often as it runs, if the
    file states how often.

    Args:
        path: The path of the file.
        dynamic: Whether only weights are quantized. Operations with integer weights
            then count as quantized, and elementwise operations are left out.
    """
    flops, counts, total = collections.Counter(), collections.Counter(), 0
    found = operations(path)
    for op in found:
        work = op.times * _flops(op)
        total += work
        if _lacks_weights(op) if dynamic else _is_float(op):
            flops[op.name] += work
            counts[op.name] += 1
    ops = {name: counts[name] for name, _ in flops.most_common()}
    return FloatWork(ops, sum(flops.values()) / (total or 1), _integer_share(found))


def _is_float(op) -> bool:
    """Returns whether an operation reads or outputs float activations."""
    computed = [t for t in (*op.inputs, *op.outputs) if t and t.buffer is None]
    return op.name not in _CONVERSIONS and any(t.dtype in _FLOATS for t in computed)


def _lacks_weights(op) -> bool:
    """Returns whether an operation multiplies, but without integer weights."""
    given = [t for t in op.inputs if t and len(t.shape) > 1]
    return (
        _multiplies(op)
        and any(t.dtype in _FLOATS for t in given)
        and not any(t.dtype in _INTEGERS for t in given)
    )


def _multiplies(op) -> bool:
    return op.name in _COUNTED or _is_recurrent(op) or _matrix(op) is not None


def _is_recurrent(op) -> bool:
    return op.builtin and ("LSTM" in op.name or "RNN" in op.name)


def _matrix(op):
    """Returns the weights of a custom operation, or `None`."""
    held = [t for t in op.inputs if t and t.buffer is not None and len(t.shape) > 1]
    return None if op.builtin else max(held, key=_size, default=None)


def _flops(op) -> int:
    if op.name in _DATA_MOVEMENT or not op.outputs:
        return 0
    if op.name in _COUNTED:
        return 2 * _multiply_adds(op)
    if _is_recurrent(op):
        source = op.inputs[0]
        weights = sum(_size(t) for t in op.inputs[1:] if t and len(t.shape) == 2)
        return 2 * weights * _size(source) // max(source.shape[-1], 1)
    computed = [t for t in (*op.inputs, *op.outputs) if t and t.buffer is None]
    size = max(map(_size, computed), default=0)
    if (matrix := _matrix(op)) is not None:
        size *= 2 * math.prod(matrix.shape[:-1])
    return size


def _size(tensor) -> int:
    return math.prod(tensor.shape)


def _multiply_adds(op) -> int:
    """Counts those of an operation of `_COUNTED`, by its tensors' shapes."""
    first, second = op.inputs[:2]
    output, kernel = op.outputs[0], second.shape
    if op.name in _BACKWARD:  # the kernel at each position of the input
        source = op.inputs[2]
        return _size(source) // source.shape[-1] * _size(second)
    if op.name == "BATCH_MATMUL":  # `(..., m, k) x (..., k, n)`, transposed or not
        return _size(output) * math.prod(first.shape[-2:]) // output.shape[-2]
    each = {
        "CONV_2D": kernel[1:],
        "CONV_3D": kernel[:-1],
        "DEPTHWISE_CONV_2D": kernel[1:3],
        "FULLY_CONNECTED": kernel[-1:],
    }
    return _size(output) * math.prod(each[op.name])


def _integer_share(found) -> float | None:
    """Returns the share of the weights that are integers, each counted once."""
    held = {
        t.buffer: t for op in found for t in op.inputs if t and t.buffer is not None
    }
    whole = sum(_size(t) for t in held.values() if t.dtype in _INTEGERS)
    floats = sum(_size(t) for t in held.values() if t.dtype in _FLOATS)
    return whole / (whole + floats) if whole + floats else None
