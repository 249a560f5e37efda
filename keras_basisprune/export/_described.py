"""Describes a LiteRT file that was written."""

from keras_basisprune.export import _float_work, _litert_read
from keras_basisprune.export._tflite_export import TFLiteExport


def described(written, path, quantization, count, compare) -> TFLiteExport:
    """Reads a file and compares its outputs.

    Args:
        written: Path of the file, while it is staged.
        path: The path that it will have.
        quantization: As in `TFLiteExport`.
        count: Integer, the number of samples that are compared.
        compare: A function that runs the file and returns an `Agreement`. It is not
            called if the file needs operations that LiteRT lacks.
    """
    ops, other_ops = _litert_read.read_ops(written)
    found = None if other_ops else compare()
    messages = _litert_read.gpu_messages(written)
    work = None
    if quantization in ("dynamic", "int8"):
        work = _float_work.float_work(written, quantization == "dynamic")
    return TFLiteExport(
        path=str(path),
        quantization=quantization,
        bytes=written.stat().st_size,
        max_abs_difference=found and found.max_abs_difference,
        max_relative_difference=found and found.max_relative_difference,
        top1_agreement=found and found.top1_agreement,
        samples=count if found else 0,
        builtin_ops_only=not other_ops,
        other_ops=other_ops,
        ops=ops,
        gpu_compatible=not messages,
        gpu_messages=messages,
        float_ops=work.ops if work else {},
        float_share=work.share if work else None,
        integer_weights=work.weights if work else None,
    )
