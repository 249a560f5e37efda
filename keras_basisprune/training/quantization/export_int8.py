"""Writes the int8 file of a network so that its outputs change least."""

import dataclasses
import pathlib
import shutil
import warnings

import keras

from keras_basisprune.data.evenly_spaced import evenly_spaced
from keras_basisprune.export import TFLiteExport, export_tflite
from keras_basisprune.export.dequantized import quantized_layers
from keras_basisprune.export.prepare import prepare
from keras_basisprune.graph.is_quantization_aware import is_quantization_aware
from keras_basisprune.training.quantization.quantize_aware import quantize_aware
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_MORE = 0.01  # of FLOPs or weights in float: too little to matter


def export_int8(
    model, path, data, *, rounding="compensated", calibrate=False, **options
) -> TFLiteExport:
    """Writes the int8 file of a network so that its outputs change least.

    Nothing is trained: the file is that of `quantize_aware`. Where that refuses the
    network, or leaves more of it in float than LiteRT's converter does (attention, for
    example), the file is the one that the converter calibrates. A network that is
    quantization-aware is written as it is.

    Args:
        model: The `keras.Model`.
        path: Where to write; ends with `.tflite`.
        data: Samples, an array or a list or dict of arrays; at most 320 are used,
            evenly spaced.
        rounding: As in `quantize_aware`. With `"nearest"`, the file has the same
            operations and sizes, after one forward pass.
        calibrate: Whether to calibrate in any case.
        **options: Of `export_tflite`.

    Returns:
        A `TFLiteExport`, which says how far the outputs are from those of `model`. Its
        `rounding` is `"compensated"`, `"nearest"`, `"calibrated"`, or `"trained"` for
        a network that was quantization-aware.

    Raises:
        ValueError: As `export_tflite` does. No file is written then.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Expected quantization=")  # told below
        if is_quantization_aware(model):
            record = export_tflite(model, path, **options)
            record = dataclasses.replace(record, rounding="trained")
        else:
            given = model, path, evenly_spaced(data)
            record = _written(*given, None if calibrate else rounding, options)
    if record.in_float:
        warnings.warn(record.in_float, stacklevel=2)
    return record


def _written(model, path, data, rounding, options) -> TFLiteExport:
    found = None
    if rounding is not None:
        try:
            found = _rounded(model, path, data, rounding, options)
        except ValueError:  # the converter may take it all the same
            found = None
    if found is not None and not found.float_ops:
        return found
    with TemporaryFolder() as folder:
        other = pathlib.Path(folder) / "calibrated.tflite"
        given = {"quantization": "int8", "representative_data": data, **options}
        try:
            record = export_tflite(model, other, **given)
        except ValueError:
            if found is None:
                raise
            return found
        if found is not None and not _more_in_float(found, record):
            return found
        with staged(path) as stage:
            shutil.copyfile(other, stage)
    return dataclasses.replace(record, path=str(path))


def _rounded(model, path, data, rounding, options) -> TFLiteExport:
    plain = prepare(model, float32=True)
    count = len(keras.tree.flatten(data)[0])
    network = quantize_aware(plain, data, rounding=rounding, samples=count, verbose=0)
    record = export_tflite(network, path, reference=plain, **options)
    names = tuple(layer.name for layer in quantized_layers(model))
    return dataclasses.replace(record, rounding=rounding, dequantized=names)


def _more_in_float(one, other) -> bool:
    """Returns whether one file has more operations or weights in float than another."""
    if one.float_share > other.float_share + _MORE:
        return True
    shares = one.integer_weights, other.integer_weights
    return None not in shares and shares[0] < shares[1] - _MORE
