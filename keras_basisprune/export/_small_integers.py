"""Rewrites a `.tflite` file: weights of 4 bits, and biases for 16-bit activations."""

import copy

import numpy as np

from keras_basisprune.export.reading.operations import open_file

_MULTIPLYING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_FOUR_BITS = _MULTIPLYING[:3]  # those with kernels for it
_RATIO = 127 / 7  # of the largest integers
# The converter rounds 127/7 k, for k in -7 to 7.
_ROUNDING = 0.5 / _RATIO + 1e-3


def use_small_integers(path, four_bits, wide_biases):
    """Changes types in a file whose numbers stay the same.

    The converter writes weights as 8-bit integers and biases as 32-bit ones. Weights
    that were rounded to 15 numbers per channel are packed, two in a byte; with 16-bit
    activations, kernels of LiteRT take biases of 64 bits only.

    Args:
        path: The path of the file, which is rewritten.
        four_bits: Whether to look for weights of 4 bits.
        wide_biases: Whether biases become 64-bit integers.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(open_file(path))
    names = {
        value: name
        for name, value in vars(schema.BuiltinOperator).items()
        if isinstance(value, int)
    }
    codes = [
        names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    done: set[int] = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            name = codes[operator.opcodeIndex]
            if name not in _MULTIPLYING:
                continue
            at = [graph.tensors[i] if i >= 0 else None for i in operator.inputs]
            bias = next((t for t in at[2:] if _is(t, schema.TensorType.INT32)), None)
            if four_bits and name in _FOUR_BITS:
                _pack(model, at[1], bias, schema, done)
            if wide_biases and bias is not None and id(bias) not in done:
                done.add(id(bias))
                values = _data(model, bias, np.int32).astype(np.int64)
                bias.type = schema.TensorType.INT64
                _store(model, bias, values)
    _drop_unused(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def _pack(model, kernel, bias, schema, done):
    """Packs weights of which each channel has 15 numbers at most."""
    if id(kernel) in done or not _is(kernel, schema.TensorType.INT8):
        return
    places = _data(model, kernel, np.int8) / _RATIO
    whole = np.round(places)
    if np.abs(places - whole).max(initial=0.0) > _ROUNDING:
        return
    done.add(id(kernel))
    halves = whole.astype(np.int8) & 15
    halves = np.append(halves, np.zeros(len(halves) % 2, np.int8)).astype(np.uint8)
    kernel.type = schema.TensorType.INT4
    _store(model, kernel, halves[::2] | (halves[1::2] << 4))
    _scale(kernel)
    if bias is not None:
        values = np.round(_data(model, bias, np.int32) / _RATIO)
        _store(model, bias, values.astype(np.int32))
        _scale(bias)


def _scale(tensor):
    scales = np.asarray(tensor.quantization.scale, np.float64) * _RATIO
    tensor.quantization.scale = scales.astype(np.float32)


def _is(tensor, kind) -> bool:
    return (
        tensor is not None and tensor.type == kind and tensor.quantization is not None
    )


def _data(model, tensor, dtype) -> np.ndarray:
    held = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return np.frombuffer(held.tobytes(), dtype)


def _drop_unused(model):
    """Empties the buffers that no tensor has any more."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None


def _store(model, tensor, values):
    """Gives a tensor a buffer of its own: others may share the old one."""
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
