"""Reads the operations and shapes of `.tflite` files."""

import collections
import contextlib
import io

import keras

from keras_basisprune.export.reading.operations import (
    open_file,
    operations,
    subgraphs,
)

_GPU_WARNING = "GPU COMPATIBILITY WARNING: "

# Operations of the GPU delegate: the cases of CheckGpuDelegateCompatibility in
# tensorflow/lite/tools/versioning/gpu_compatibility.cc.
_GPU_OPS = frozenset(
    """
    ABS ADD ADD_N ATAN2 AVERAGE_POOL_2D BATCH_MATMUL CAST CEIL CONCATENATION
    CONV_2D COS CUMSUM DENSIFY DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV
    DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP FLOOR FLOOR_DIV
    FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH
    LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGISTIC LSTM MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU
    QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN
    SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE
    STABLEHLO_CLAMP STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV
    """.split()
)


def read_ops(path):
    """Returns the operations of a file.

    Args:
        path: The path of the file.

    Returns:
        A dict from the name of an operation to how often it occurs, most frequent
        first, and the tuple of the names that are not built into LiteRT: `Flex...`
        are TensorFlow's own operations, others are custom ones.
    """
    found = operations(path)
    counts = collections.Counter(op.name for op in found)
    ops = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return ops, tuple(sorted({op.name for op in found if not op.builtin}))


def gpu_messages(path):
    """Returns reasons why a file may not run on a phone's GPU.

    TensorFlow's analyser is asked first, if Keras runs on TensorFlow. It reports every
    file as compatible (seen with 2.21; tensorflow/tensorflow#77042), so the operations
    are also compared with the list that it used before. Dynamic shapes and tensors of
    more than four dimensions are reported too.

    Args:
        path: The path of the file.

    Returns:
        A tuple of sentences, empty if nothing was found.
    """
    messages = _analysed(path) if keras.backend.backend() == "tensorflow" else []
    messages += [
        f"Not supported op {name}" for name in read_ops(path)[0] if name not in _GPU_OPS
    ]
    shapes = list(_runtime_shapes(open_file(path)))
    if any(-1 in shape for shape in shapes):
        messages.append("Dynamic shapes are not supported; export a fixed batch size")
    if any(len(shape) > 4 for shape in shapes):
        messages.append("Tensors of more than four dimensions are not supported")
    return tuple(dict.fromkeys(messages))


def _analysed(path) -> list[str]:
    import tensorflow as tf

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        tf.lite.experimental.Analyzer.analyze(str(path), gpu_compatibility=True)
    return [
        line.strip().removeprefix(_GPU_WARNING)
        for line in printed.getvalue().splitlines()
        if _GPU_WARNING in line
    ]


def _runtime_shapes(model):
    """Yields the shape of each tensor that is computed, -1 for a dynamic size."""
    for subgraph in subgraphs(model):
        for index in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(index)
            if model.Buffers(tensor.Buffer()).DataLength():
                continue
            if tensor.ShapeSignatureLength():
                yield tensor.ShapeSignatureAsNumpy().tolist()
            elif tensor.ShapeLength():
                yield tensor.ShapeAsNumpy().tolist()
