"""Writes the files for other runtimes."""

import contextlib
import dataclasses

import numpy as np

from keras_basisprune.cli._exporters import asked_for
from keras_basisprune.utils.files import staged

_SAMPLES = 32  # on which files are compared with the model


def write_exports(flags, model, folder, images, shape=None, labels=None) -> list:
    """Writes the files that `--formats` names, all or none.

    Args:
        flags: The parsed `absl.flags.FlagValues`.
        model: The `keras.Model`.
        folder: The `pathlib.Path` of the folder to write to, created if needed.
        images: Array of images to calibrate and check with; `None` for none.
        shape: Shape of one image, for a model that accepts any size.
        labels: Names of the classes, which LiteRT files hold; `None` for none.

    Returns:
        A list of records, one per file, which describe what was written.

    Raises:
        ValueError: If the model can't be exported in these forms. Then no file is
            written.
    """
    samples = None if images is None else images[:_SAMPLES]
    if samples is None and shape is not None:
        rng = np.random.default_rng(0)
        samples = rng.standard_normal((_SAMPLES, *shape)).astype("float32")
    records = []
    with contextlib.ExitStack() as stages:
        for row in sorted(asked_for(flags), key=lambda row: row.is_folder):
            path = folder / row.file
            stage = path if row.is_folder else stages.enter_context(staged(path))
            needed = images if row.needs_data else None
            more = {"samples": samples, "input_shape": shape}
            if row.holds_labels:
                more["labels"] = labels
            record = row.write(model, stage, needed, **more)
            records.append(dataclasses.replace(record, path=str(path)))
    return records
