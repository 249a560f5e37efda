"""Exports a model as a TensorFlow SavedModel."""

import dataclasses
import functools

import keras

from keras_basisprune.export import (
    _agreement,
    _elsewhere,
    sample_arrays,
    signatures,
)
from keras_basisprune.export.prepare import low_precision, prepare
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.utils.types import Data, Path

_TOLERANCE = 1e-5
_LOW_PRECISION_TOLERANCE = 2e-2


@dataclasses.dataclass(frozen=True)
class SavedModelExport:
    """The folder that `export_saved_model` wrote, and how well it agrees with Keras.

    Attributes:
        path: The path of the folder.
        bytes: The size of all files in it.
        files: Number of files in it.
        max_abs_difference: The largest absolute difference between the outputs of
            the loaded folder and of the Keras model on the samples.
        max_relative_difference: The largest difference of an output, relative to the
            largest absolute value of that Keras output; the largest over all outputs.
        samples: Number of samples that were compared.
    """

    path: str
    bytes: int
    files: int
    max_abs_difference: float
    max_relative_difference: float
    samples: int

    def __str__(self):
        return (
            f"{self.path}: SavedModel, {self.bytes:,} bytes in {self.files} files\n"
            f"  difference  {self.max_abs_difference:.2e} absolute, "
            f"{self.max_relative_difference:.2e} of the largest output "
            f"({self.samples} samples)"
        )


def export_saved_model(
    model: keras.Model,
    path: Path,
    *,
    overwrite: bool = False,
    samples: Data = None,
    tolerance: float | str | None = "auto",
) -> SavedModelExport:
    """Exports a model as a TensorFlow SavedModel and checks it against Keras.

    The folder is loaded with `tf.saved_model.load`, and the outputs of its `serve`
    function are compared with those of the model before it is moved to `path`: it
    appears complete and checked, or not at all.

    On JAX and PyTorch, the model is saved to a temporary folder, and loaded and
    exported under TensorFlow in a process of its own (some seconds for the first
    export).

    Args:
        model: A Functional or built Sequential `keras.Model` with layers of Keras
            only; `fold` a converted model first. It is not changed. The batch size
            remains open, unless `keras.Input(batch_shape=...)` has fixed it.
        path: The folder to write. Parent folders are created.
        overwrite: Whether a SavedModel at `path` may be replaced. Other folders that
            are not empty are never replaced.
        samples: Samples to compare outputs on: one array for a model with one input;
            a list or dict (by input name) of arrays for several; or an iterable of
            such batches. By default 32 samples of seeded standard normal numbers.
        tolerance: The largest difference that is accepted, as a share of the largest
            absolute output of the Keras model. `"auto"` stands for 1e-5, or 2e-2 for
            a model that computes in half precision. `None` accepts any difference.

    Returns:
        A `SavedModelExport` record.

    Raises:
        ValueError: If an argument does not fit, if `path` already contains files, or if
            the outputs differ by more than `tolerance`. No folder is written then.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> record = export_saved_model(model, "small")
    >>> record.samples
    32
    """
    path = _check_path(path, overwrite)
    model = prepare(model, float32=False)
    default = _LOW_PRECISION_TOLERANCE if low_precision(model) else _TOLERANCE
    tolerance = _agreement.resolve_tolerance(tolerance, default)
    specs = signatures.input_specs(model)
    inputs = sample_arrays.check_samples(model, specs, samples)
    with quiet(), staged(path) as staged_path:
        outputs = _elsewhere.saved_model(model, staged_path, specs, inputs)
        pack = functools.partial(signatures.pack, model)
        reference = _agreement.keras_outputs(model, inputs, pack)
        found = _agreement.agreement(reference, outputs)
        _agreement.check_agreement(found, tolerance, "the SavedModel")
        sizes = [
            file.stat().st_size for file in staged_path.rglob("*") if file.is_file()
        ]
    return SavedModelExport(
        path=str(path),
        bytes=sum(sizes),
        files=len(sizes),
        max_abs_difference=found.max_abs_difference,
        max_relative_difference=found.max_relative_difference,
        samples=len(inputs[0]),
    )


def _check_path(path, overwrite):
    overwrite = check_flag("overwrite", overwrite)
    path = check_path("path", path, "folder")
    if path.is_dir() and any(path.iterdir()):
        is_saved_model = (path / "saved_model.pb").is_file()
        if not overwrite or not is_saved_model:
            remedy = (
                "overwrite=True replaces it"
                if is_saved_model
                else "It is no SavedModel and is never replaced"
            )
            raise ValueError(
                "Expected `path` not to exist or to be an empty folder. Received: "
                f"path={str(path)!r}, a folder with files in it. {remedy}; or pass "
                "another path."
            )
    return path
