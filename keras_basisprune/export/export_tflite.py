"""Exports a model as a LiteRT (`.tflite`) file."""

import dataclasses
import functools
import warnings
from collections.abc import Sequence

import keras

from keras_basisprune.export import (
    _agreement,
    _convert,
    _elsewhere,
    _litert_run,
    sample_arrays,
    signatures,
)
from keras_basisprune.export._described import described
from keras_basisprune.export._order_inputs import order_inputs
from keras_basisprune.export._small_integers import use_small_integers
from keras_basisprune.export._tflite_export import TFLiteExport
from keras_basisprune.export._with_known_ranges import (
    bits_of,
    with_known_ranges,
)
from keras_basisprune.export.add_labels import add_labels, check_labels
from keras_basisprune.export.add_metadata import add_metadata
from keras_basisprune.export.dequantized import quantized_layers
from keras_basisprune.export.prepare import check_quantisable, prepare
from keras_basisprune.graph.is_quantization_aware import is_quantization_aware
from keras_basisprune.graph.trace import check_model
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.utils.types import Data, Path

_TOLERANCES = {"float32": 1e-4, "float16": 0.1, "dynamic": 0.3, "int8": 0.5}


def export_tflite(
    model: keras.Model,
    path: Path,
    *,
    quantization: str | None = None,
    representative_data: Data = None,
    samples: Data = None,
    tolerance: float | str | None = "auto",
    batch_size: int = 1,
    input_shape: Sequence[int | None] | None = None,
    integer_io: bool = True,
    labels: Sequence[str] | None = None,
    reference: keras.Model | None = None,
) -> TFLiteExport:
    """Exports a model as a LiteRT (`.tflite`) file and checks it against Keras.

    Operations that LiteRT can't quantize remain in float: the record names them, and
    there is a warning if they are more than 10 % of the FLOPs, or hold all weights.

    The file is run on the LiteRT interpreter, and its outputs are compared with
    those of the model before it is moved to `path`: it appears complete and checked,
    or not at all. If the export fails, an existing file at `path` is not changed.

    LiteRT computes in float32 (or in integers). A model with layers of another
    dtype policy, such as `mixed_float16`, is therefore rebuilt in float32 with the
    same weights, and the file is compared with that. So is one whose `Dense` and
    `Embedding` layers `keras.Model.quantize("int8")` has turned into integers: their
    values are exported, which `"dynamic"` and `"int8"` turn into the same integers
    again; the record names these layers.

    On JAX and PyTorch, the model is saved to a temporary folder, and loaded and
    converted under TensorFlow in a process of its own (some seconds for the first
    export). Layers of your own must be importable there, and run on TensorFlow.

    Args:
        model: A Functional or built Sequential `keras.Model` with layers of Keras
            only; `fold` a converted model first. It is not changed.
        path: Where to write; ends with `.tflite`. Parent folders are created.
        quantization: `None` or `"float32"` for full precision; `"float16"` for half
            precision weights (half the bytes); `"dynamic"` for int8 weights and
            float activations (about a quarter of the bytes; tensors of fewer than
            1,024 weights remain float); `"int8"` for integer weights and activations
            (a quarter of the bytes, fastest on most phones' CPUs and the only choice
            for integer accelerators). It is calibrated by LiteRT's converter; what
            `export_tflite(quantize_aware(model, images), path)` writes is as small,
            and mostly more exact.
        representative_data: Samples to find the ranges of activations; needed for
            `"int8"`. One array for a model with one input; a list or dict (by input
            name) of arrays for several; or an iterable, such as a
            `tf.data.Dataset`, of such batches or of `(inputs, targets)`. Apply any
            preprocessing that is not part of the model. At most the first 500 samples
            are used; 100 to 500 are enough.
        samples: Samples to compare outputs on, in the same forms. By default the
            first 32 of `representative_data`, else 32 samples of seeded standard
            normal numbers.
        tolerance: The largest difference that is accepted, as a share of the largest
            absolute output of the Keras model. `"auto"` stands for 1e-4 (float32),
            0.1 (float16), 0.3 (dynamic) and 0.5 (int8). Small networks stayed below
            3e-6, 2e-3, 3e-2 and 0.15; a fine-tuned MobileNet's float16 file differed
            by 0.03 on 100 images, since one image between two classes is enough.
            `None` accepts any difference, and also files that need TensorFlow's own
            operations.
        batch_size: The batch size that is written into the file. 1 by default,
            because delegates want fixed shapes; `None` leaves it open. An input
            with a fixed batch size keeps its own.
        input_shape: The shape of one sample without the batch dimension, for a model
            with open dimensions; a list or dict of shapes for several inputs.
        integer_io: Whether an int8 file takes and returns int8 (`True`) or float32
            (`False`) tensors. Scale and zero point are in the file.
        labels: Names of the classes, in the order of an output. They become the file
            `labels.txt` in a zip archive behind the model, and TFLite metadata refer
            to it, from which MediaPipe and Android Studio also know colours, size and
            (if the model normalizes them) range of images. `read_labels` reads them.
        reference: The model with whose outputs those of the file are compared, such as
            the float network of a quantization-aware one. By default `model`.

    Returns:
        A `TFLiteExport` record.

    Raises:
        ValueError: If an argument does not fit, if the model can't be converted, if it
            needs operations that LiteRT lacks, or if the file differs from the model by
            more than `tolerance`. No file is written then.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> record = export_tflite(model, "small.tflite")
    >>> record.builtin_ops_only
    True
    """
    path = _check_path(path)
    integer_io = check_flag("integer_io", integer_io)
    given, weight_bits, bits = model, 8, 8
    trained = isinstance(model, keras.Model) and is_quantization_aware(model)
    if trained:
        quantization = _check_trained(quantization)
        weight_bits, bits = bits_of(model)
        model = with_known_ranges(model)
    quantization = _check_quantization(quantization, representative_data, trained)
    tolerance = _agreement.resolve_tolerance(tolerance, _TOLERANCES[quantization])
    model = prepare(model, float32=True)
    if reference is None:
        reference = given if trained else model
    else:
        _check_reference(reference, given)
    labels = check_labels("labels", labels, model)
    if quantization == "int8" and not trained:
        check_quantisable(model)
    specs = signatures.fixed_specs(model, batch_size, input_shape)
    data = None
    if representative_data is not None:
        data = sample_arrays.sample_arrays(
            model, specs, representative_data, "representative_data"
        )
    inputs = sample_arrays.check_samples(model, specs, samples, data)
    signature = signatures.pack(model, specs)
    unchecked = tolerance is None
    known = None if trained else data
    settings = _convert.Settings(
        quantization, known, integer_io, unchecked, signature, bits
    )
    with quiet(), staged(path) as staged_path:
        _elsewhere.convert(model, staged_path, specs, settings)
        order_inputs(staged_path, [spec.name for spec in specs])
        if weight_bits < 8 or bits > 8:
            use_small_integers(staged_path, weight_bits < 8, bits > 8)
        if labels is not None:
            add_metadata(staged_path, labels, model, specs)
            add_labels(staged_path, labels)

        def compare():
            found = _compare(reference, model, staged_path, specs, inputs)
            _agreement.check_agreement(found, tolerance, f"the {quantization} file")
            return found

        count = len(inputs[0])
        record = described(staged_path, path, quantization, count, compare)
    names = tuple(layer.name for layer in quantized_layers(given))
    rounding = "given" if trained else "calibrated"
    record = dataclasses.replace(
        record,
        dequantized=names,
        rounding=rounding if quantization == "int8" else None,
    )
    if record.in_float:
        warnings.warn(record.in_float, stacklevel=2)
    return record


def _compare(reference, model, path, specs, inputs):
    """Runs Keras and the file on `inputs` and returns their `Agreement`."""
    expected = _agreement.keras_outputs(
        reference, inputs, functools.partial(signatures.pack, model)
    )
    names = [spec.name for spec in specs]
    outputs = _litert_run.run_file(
        path, inputs, names, _litert_run.signature_outputs(model)
    )
    return _agreement.agreement(expected, outputs)


def _check_reference(reference, model):
    check_model("reference", reference)
    shapes = [
        [tuple(tensor.shape) for tensor in (*one.inputs, *one.outputs)]
        for one in (reference, model)
    ]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "Expected `reference` to have inputs and outputs of the shapes of those of "
            f"`model`. Received: reference={reference.name!r} with {shapes[0]}, and "
            f"model={model.name!r} with {shapes[1]}. Pass the network of which `model` "
            "was made."
        )


def _check_path(path):
    path = check_path("path", path)
    if path.suffix != ".tflite":
        raise ValueError(
            "Expected `path` to be a file name that ends with '.tflite'. Received: "
            f"path={str(path)!r}{' (a folder)' if path.is_dir() else ''}. Pass "
            f"{str(path.with_suffix('.tflite'))!r}, say."
        )
    return check_path("path", path, "file")


def _check_trained(quantization):
    if quantization in (None, "int8"):
        return "int8"
    raise ValueError(
        "Expected `quantization` to be None or 'int8' for a quantization-aware model. "
        f"Received: quantization={quantization!r}. Pass `fold(model)` for others."
    )


def _check_quantization(quantization, representative_data, trained):
    if quantization is None:
        return "float32"
    remedy = "Leave it out for full precision."
    check_choice("quantization", quantization, (*_TOLERANCES, None), remedy)
    if quantization == "int8" and representative_data is None and not trained:
        raise ValueError(
            "Expected `representative_data` for quantization='int8', to find the "
            "ranges of the activations. Received: representative_data=None. Pass 100 "
            "to 500 typical inputs (an array of images, a list or dict of arrays for "
            "several inputs, or a `tf.data.Dataset`), or choose 'dynamic', which "
            "needs none."
        )
    return quantization
