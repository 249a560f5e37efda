"""Networks as the LiteRT files that will ship."""

import contextlib
import functools
import pathlib
import warnings

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.evenly_spaced import evenly_spaced
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.export import TFLiteExport, export_tflite
from keras_basisprune.export.litert_file import LiteRTFile
from keras_basisprune.export.prepare import check_quantisable, prepare
from keras_basisprune.measure import latency
from keras_basisprune.training.quantization.export_int8 import export_int8
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.processes import process_count
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.utils.temporary_folder import TemporaryFolder

FORMS = ("float32", "float16", "int8")
_COMPARED = 64


class ShippedFile:
    """The LiteRT file of one network, which runs like the network.

    Args:
        record: The `TFLiteExport` record of the file.
        content: Its bytes.
        workers: Number of interpreters that run at once; `None` for one per processor.
        verbose: Whether `shown` shows a progress bar.

    Attributes:
        record: As given.
        content: As given.
    """

    def __init__(self, record, content, workers=None, verbose=False):
        self.record, self.content = record, content
        self._workers, self._verbose = workers, verbose
        self._bar = None

    @functools.cached_property
    def _file(self) -> LiteRTFile:
        with quiet():
            return LiteRTFile(self.content, self._workers)

    def run_batch(self, inputs) -> list[np.ndarray]:
        """Runs the file on one batch.

        Args:
            inputs: List of arrays, one per input, in the order of the model.

        Returns:
            A list of arrays: its outputs, flat, as Keras sorts them.
        """
        progress = None if self._bar is None else self._bar.update
        return self._file(list(inputs), progress)

    def predict(self, data, **_):
        """Returns the outputs for any data, as `keras.Model.predict` does.

        For metrics of one's own, which call the model that they are given.
        """
        batches = sample_batches(self._file, self._file.inputs, data, "data")
        parts = zip(*map(self.run_batch, batches), strict=True)
        found = [np.concatenate(output) for output in parts]
        return found[0] if len(found) == 1 else found

    __call__ = predict_on_batch = predict

    @contextlib.contextmanager
    def shown(self, total):
        """Shows the progress of what runs in this context, of `total` samples."""
        silent = {"leave": False, "disable": not self._verbose}
        with tqdm(
            desc=self.record.quantization, unit="sample", total=total, **silent
        ) as self._bar:
            yield
        self._bar = None

    def milliseconds(self) -> float:
        """Returns the median time of one inference on one thread of this machine."""
        with _file(self.content) as path:
            return latency(path, threads=(1,)).litert[1].median_ms


class Shipped:
    """Makes the LiteRT files of networks.

    Args:
        form: `"float32"`, `"float16"` or `"int8"`.
        samples: Training samples, an array or a list or dict of them: networks are
            rounded by at most 320, evenly spaced.
        workers: Number of interpreters that run at once; `None` for one per processor.
        verbose: Whether to show a progress bar.
        labels: Names of the classes, which the files hold; `None` for none.
        calibrate: Whether LiteRT's converter shall calibrate int8 files, as it does for
            several processes of JAX; `check` finds out whether it has to.

    Attributes:
        form: As given.
        calibrate: As given or found out.
    """

    def __init__(
        self,
        form,
        samples,
        workers=None,
        verbose=False,
        labels=None,
        calibrate=False,
    ):
        # Rounding builds layers, for which each of several processes of JAX would wait
        # for the others; and some files are made by the first one alone.
        self.calibrate = calibrate or process_count() > 1
        self.form, self._labels = form, labels
        self._samples = evenly_spaced(samples)
        self._workers, self._verbose = workers, verbose

    def check(self, model):
        """Raises `ValueError` if a model can't ship in this form.

        If its int8 file has to be calibrated, so are those of all networks that are cut
        of it.

        Args:
            model: The original `keras.Model`.
        """
        try:
            prepare(model, float32=True)
            if self.form == "int8":
                check_quantisable(model)
                with _file() as path:
                    check_no_loop(export_tflite(model, path, tolerance=None))
            with _file() as path:
                record = self.export(model, path)
            self.calibrate |= record.rounding == "calibrated"
        except ValueError as error:
            raise ValueError(
                f"Expected `ship` to be a form that `model` can have. Received: ship="
                f"{self.form!r}. {error}"
            ) from error
        if not record.builtin_ops_only:
            raise ValueError(
                "Expected `ship` to be a form that `model` can have. Received: ship="
                f"{self.form!r} for a model that needs {', '.join(record.other_ops)}, "
                "which LiteRT has not built in. Replace these operations, or leave "
                "`ship` out to judge networks by Keras alone."
            )

    def export(self, model, path) -> TFLiteExport:
        """Writes a file that is as large and as fast as that of a network.

        An int8 file is rounded to the nearest numbers, which takes a fraction of the
        time.
        """
        return self.write(model, path, rounding="nearest")

    def write(self, model, path, rounding="compensated") -> TFLiteExport:
        """Writes the file of a network.

        Args:
            model: The `keras.Model`, with layers of Keras only or quantization-aware.
            path: Where to write.
            rounding: Of an int8 file, as in `export_int8`.
        """
        first = keras.tree.map_structure(lambda x: x[:_COMPARED], self._samples)
        given = {"samples": first, "tolerance": None, "labels": self._labels}
        with warnings.catch_warnings():
            # The report names what stays in float; not every trial need say it.
            warnings.filterwarnings("ignore", "Expected quantization=")
            if self.form != "int8":
                return export_tflite(model, path, quantization=self.form, **given)
            given |= {"rounding": rounding, "calibrate": self.calibrate}
            return export_int8(model, path, self._samples, **given)

    def __call__(self, model) -> ShippedFile:
        """Writes the file of a network."""
        with _file() as path:
            record = self.write(model, path)
            content = path.read_bytes()
        return ShippedFile(record, content, self._workers, self._verbose)


def check_no_loop(record):
    """Raises `ValueError` if a network has a loop, for which int8 can't be calibrated.

    TensorFlow's calibrator ends the process there (see `check_quantisable`, which
    knows the layers of Keras; a loop may also be in a layer of one's own).

    Args:
        record: The `TFLiteExport` of its float32 file.
    """
    if "WHILE" in record.ops:
        raise ValueError(
            "Expected a model without loops for int8. Received: one whose LiteRT file "
            "holds a WHILE operation. Unroll it, or choose 'float16'."
        )


def check_ship(ship):
    """Raises `ValueError` unless `ship` is a form, or `None`."""
    remedy = "None judges networks by Keras alone."
    check_choice("ship", ship, (*FORMS, None), remedy)


@contextlib.contextmanager
def _file(content=None):
    """Yields the path of a temporary file, with the content if there is some."""
    with TemporaryFolder() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        if content is not None:
            path.write_bytes(content)
        yield path
