"""The operations of any quantized `.tflite` file that stayed in float."""

from keras_basisprune.export._float_work import FloatWork, float_work
from keras_basisprune.export.reading.operations import operations

_SMALL = frozenset("INT2 INT4 UINT4 INT8 UINT8 INT16".split())


def float_operations(path) -> FloatWork | None:
    """Finds out which operations of a file still compute in float.

    Args:
        path: The path of the file.

    Returns:
        A record with `ops` (a dict from the names of the operations to how often they
        occur), `share` (of the FLOPs) and `weights` (the share that are integers);
        `None` for a file without integers, such as a float32 or float16 file. Where
        only weights are integers, operations that multiply without such weights count.
    """
    found = [t for op in operations(path) for t in (*op.inputs, *op.outputs) if t]
    small = [tensor for tensor in found if tensor.dtype in _SMALL]
    if not small:
        return None
    return float_work(path, dynamic=all(tensor.buffer is not None for tensor in small))
