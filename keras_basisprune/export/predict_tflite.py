"""The outputs of a `.tflite` file for any data."""

import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.export.litert_file import open_litert
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Path, Verbose


def predict_tflite(
    path: Path,
    data: Data,
    *,
    workers: int | None = None,
    verbose: Verbose = "auto",
):
    """Returns the outputs of a LiteRT file, as `keras.Model.predict` does of a model.

    The file is run by the LiteRT interpreter, in the batch size that it has. Integer
    inputs and outputs (of int8 files) are converted by their scales, so that numbers
    go in and come out in the range of the Keras model.

    Time and the memory for the outputs grow with the number of samples. Of an iterable,
    one batch is in memory at a time.

    Args:
        path: A `.tflite` file with any quantization.
        data: As for `keras.Model.predict`: an array for a file with one input; a dict
            (by the names in the file) or a list (in the order of the file, which is
            that of the model) of arrays for several; a tuple `(inputs, targets)`; or an
            iterable of such batches, such as a `tf.data.Dataset`. Targets are ignored.
        workers: Integer, how many threads run the file, each with its own interpreter;
            `None` for one per processor. The outputs don't depend on it.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        An array for one output; a list of arrays for several without names; a dict of
        arrays for a model whose outputs were a dict.

    Raises:
        ValueError: If there is no such file, LiteRT can't run it, or the data do not
            fit.

    Example:

    >>> outputs = predict_tflite("small_int8.tflite", x_test)
    >>> np.mean(outputs.argmax(-1) == y_test)
    """
    verbose = check_verbose(verbose)
    file = open_litert("path", path, workers)
    parts = []
    with tqdm(total=_count(data), unit="sample", disable=not verbose) as bar:
        for arrays in sample_batches(file, file.inputs, data, "data"):
            parts.append(file(arrays, bar.update))
    found = [np.concatenate(output) for output in zip(*parts, strict=True)]
    if len(found) == 1 and file.outputs == ["output_0"]:
        return found[0]
    if all(name == f"output_{i}" for i, name in enumerate(file.outputs)):
        return found
    return dict(zip(file.outputs, found, strict=True))


def _count(data):
    """Returns the number of samples, where that is known before they are read."""
    if isinstance(data, tuple | list) and data:
        data = data[0]
    elif isinstance(data, dict) and data:
        data = next(iter(data.values()))
    return len(data) if getattr(data, "ndim", 0) else None
