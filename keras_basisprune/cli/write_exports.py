"""The files for other runtimes."""

import contextlib
import dataclasses

import numpy as np

from keras_basisprune.export import export_saved_model, export_tflite
from keras_basisprune.utils.files import staged

_SAMPLES = 32  # on which files are compared with the model


def write_exports(flags, model, folder, images, shape=None) -> list:
    """Writes the LiteRT files and the SavedModel that flags ask for, all or none.

    Args:
        flags: The parsed `absl.flags.FlagValues`.
        model: The `keras.Model`.
        folder: The `pathlib.Path` of the folder to write to, made if needed.
        images: Array of images to calibrate and check by; `None` for none.
        shape: Shape of one image, for a model that takes any size.

    Returns:
        A list of `TFLiteExport` records.

    Raises:
        ValueError: If the model can't be exported so. No file is left then.
    """
    records, samples = [], None if images is None else images[:_SAMPLES]
    if samples is None and shape is not None:
        rng = np.random.default_rng(0)
        samples = rng.standard_normal((_SAMPLES, *shape)).astype("float32")
    with contextlib.ExitStack() as stages:
        for kind in flags.quantization:
            path = folder / f"small_{kind}.tflite"
            stage = stages.enter_context(staged(path))
            needed = images if kind == "int8" else None
            record = export_tflite(
                model, stage, kind, needed, samples=samples, input_shape=shape
            )
            records.append(dataclasses.replace(record, path=str(path)))
        if flags.saved_model:
            path = folder / "saved_model"
            export_saved_model(model, path, overwrite=True, samples=samples)
    return records
