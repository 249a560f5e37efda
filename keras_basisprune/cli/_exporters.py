"""The kinds of files that the command line can write. A new kind is a row here."""

import dataclasses
import functools
from collections.abc import Callable

# Keras and TensorFlow are imported when a file is written: help doesn't need them.


@dataclasses.dataclass(frozen=True)
class Exporter:
    """One kind of file.

    Attributes:
        name: Its name in `--formats`.
        file: Its name in the output folder; one that ends in `/` is a folder.
        write: `write(model, path, images, **checked_on)` writes it and returns a record
            that describes what was written; `checked_on` are the `samples` and the
            `input_shape` for comparing it with the model.
        needs_data: Whether it needs images to calibrate on.
        check: `check(model)` raises `ValueError` for a model that can't be written in
            this form.
        foreign: `foreign(path)` lists files at the path that would be lost.
        holds_labels: Whether `write` also takes `labels`, the names of the classes.
    """

    name: str
    file: str
    write: Callable
    needs_data: bool = False
    check: Callable | None = None
    foreign: Callable | None = None
    holds_labels: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, whose `write` replaces an older one by itself."""
        return self.file.endswith("/")


def _write_tflite(quantization, model, path, images, labels, **checked_on):
    from keras_basisprune.export import export_tflite

    return export_tflite(
        model,
        path,
        quantization=quantization,
        representative_data=images,
        labels=labels,
        **checked_on,
    )


def _write_int8(model, path, images, **more):
    from keras_basisprune.training.quantization.export_int8 import export_int8

    return export_int8(model, path, images, **more)


def _write_saved_model(model, path, images, samples, input_shape):
    from keras_basisprune.export import export_saved_model

    return export_saved_model(model, path, overwrite=True, samples=samples)


def _check_int8(model):
    from keras_basisprune.export.prepare import check_quantisable

    check_quantisable(model)


def _foreign_to_saved_model(path):
    from keras_basisprune.export.foreign_files import foreign_files

    return foreign_files(path)


def _litert(name, write=None, **more):
    write = write or functools.partial(_write_tflite, name)
    return Exporter(name, f"small_{name}.tflite", write, holds_labels=True, **more)


_ROWS = (
    _litert("float32"),
    _litert("float16"),
    _litert("dynamic"),
    _litert("int8", _write_int8, needs_data=True, check=_check_int8),
    Exporter(
        "saved_model",
        "saved_model/",
        _write_saved_model,
        foreign=_foreign_to_saved_model,
    ),
)

EXPORTERS = {row.name: row for row in _ROWS}


def asked_for(flags) -> list[Exporter]:
    """Returns the rows of `EXPORTERS` that `--formats` names, in the table's order."""
    return [row for name, row in EXPORTERS.items() if name in flags.formats]
