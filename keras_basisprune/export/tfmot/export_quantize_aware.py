"""An int8 LiteRT file by TFMOT's quantization-aware training."""

import keras
import numpy as np

from keras_basisprune.export import (
    _agreement,
    _litert_run,
)
from keras_basisprune.export._described import described
from keras_basisprune.export._tflite_export import TFLiteExport
from keras_basisprune.export.tfmot._apart import operations_apart
from keras_basisprune.export.tfmot._fine_tuning import fine_tuning
from keras_basisprune.export.tfmot._quantized_model import quantized_model
from keras_basisprune.graph.trace import check_model
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.utils.types import Data, Path, Verbose

_COMPARED = 64  # samples


def export_quantize_aware(
    model: keras.Model,
    path: Path,
    train: Data,
    *,
    epochs: int = 3,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    seed: int = 0,
    integer_io: bool = True,
    verbose: Verbose = "auto",
) -> TFLiteExport:
    """Trains a model with TFMOT's fake quantization and writes an int8 LiteRT file.

    The model crosses to `tf_keras` (`to_tf_keras`), TFMOT folds BatchNormalization and
    puts fake quantization where LiteRT quantizes, the result trains, and the ranges
    that it learned go into the file. Layers without weights that TFMOT does not know
    (`Multiply`, `Rescaling`, `hard_silu`) get a range for their output. The trained
    network itself exists in `tf_keras` only, so that the file is the result.

    The file is run, and compared with the fake-quantized network on the first samples
    of `train`, before it is moved to `path`.

    Args:
        model: A built Functional or Sequential `keras.Model` that can cross; `fold` a
            converted model first. It is not changed.
        path: Where to write; ends with `.tflite`. Parent folders are created.
        train: What `fit` takes: `(x, y)`, or a dataset of such batches; or images
            alone, to train towards the answers that the model itself gives before.
        epochs: Number of epochs.
        learning_rate: Rate of Adam in the first step; it falls to zero by a cosine.
        batch_size: Samples per step.
        seed: Integer that determines the order of the samples.
        integer_io: Whether the file takes and returns int8 (`True`) or float32.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `TFLiteExport`, whose differences are those to the fake-quantized network.

    Raises:
        ValueError: If an argument is out of its range, TFMOT is not installed, or a
            layer can't cross or be quantized. No file is written then.

    Example:

    >>> record = kbp.export.tfmot.export_quantize_aware(
    ...     model, "small.tflite", (images, labels)
    ... )
    >>> record.float_share
    0.0
    """
    path = check_path("path", path)
    if path.suffix != ".tflite":
        raise ValueError(
            "Expected `path` to be a file name that ends with '.tflite'. Received: "
            f"path={str(path)!r}. Pass {str(path.with_suffix('.tflite'))!r}, say."
        )
    path = check_path("path", path, "file")
    integer_io = check_flag("integer_io", integer_io)
    check_model("model", model)
    training = fine_tuning(
        operations_apart(model),
        train,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
    )
    quantized = quantized_model(training.crossed())
    training.fit(quantized)
    inputs = [a[:_COMPARED] for a in training.examples.first.inputs]
    reference = _outputs(quantized, inputs)
    with quiet(), staged(path) as staged_path:
        staged_path.write_bytes(_converted(quantized, integer_io))
        return _record(path, staged_path, inputs, reference)


def _outputs(model, inputs) -> list:
    """Returns the outputs of a `tf_keras` model for some samples, as flat arrays."""
    given = inputs[0] if len(inputs) == 1 else list(inputs)
    found = keras.tree.flatten(model(given, training=False))
    return [np.asarray(x, "float32") for x in found]


def _converted(model, integer_io) -> bytes:
    """Returns the LiteRT file of a fake-quantized `tf_keras` model, batch size 1."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec((x.shape[0] or 1, *x.shape[1:]), x.dtype, name=f"input_{i}")
        for i, x in enumerate(model.inputs)
    ]

    def run(*inputs):
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        found = tf.nest.flatten(model(given, training=False))
        return {f"output_{i}": x for i, x in enumerate(found)}

    function = tf.function(run, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], model
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if integer_io:
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    try:
        return converter.convert()
    except Exception as error:  # the converter's own class has no public name
        raise ValueError(
            "Expected `model` to consist of operations that LiteRT has as integers. "
            f"Received: model={model.name!r}, refused by the converter: "
            f"{str(error).strip()[:300]}. Use `export_tflite` instead."
        ) from error


def _record(path, written, inputs, reference) -> TFLiteExport:
    """Runs the file that was written and describes it."""
    names = [f"input_{i}" for i in range(len(inputs))]
    outputs = [f"output_{i}" for i in range(len(reference))]

    def compare():
        run = _litert_run.run_file(written, inputs, names, outputs)
        return _agreement.agreement(reference, run)

    return described(written, path, "int8", len(inputs[0]), compare)
