"""Samples of a dataset in files that other processes can read."""

import pathlib

import numpy as np

from keras_basisprune.data.examples.array_examples import ArrayExamples
from keras_basisprune.data.examples.batch import Batch

_SIZE = 64  # samples at a time


def on_disk(examples, folder) -> ArrayExamples:
    """Writes samples that are read batch by batch to files.

    Memory holds some batches. The files take as much as all samples.

    Args:
        examples: `StreamExamples`.
        folder: A folder that exists, for the files.

    Returns:
        `ArrayExamples` of arrays that are mapped to the files.

    Raises:
        ValueError: If samples differ in shape.
    """
    files: list[list] = []
    start = 0
    for batch in examples.batches(_SIZE):
        parts = batch.inputs, batch.targets or [], batch.weights or []
        if not files:
            files = _opened(parts, len(examples), pathlib.Path(folder))
        for held, arrays in zip(files, parts, strict=True):
            for file, array in zip(held, arrays, strict=True):
                if file is not None:
                    file[start : start + len(batch)] = _fitting(array, file)
        start += len(batch)
    inputs, targets, weights = files
    whole = Batch(
        inputs,
        targets if examples.labelled else None,
        weights if examples.weighted else None,
    )
    return ArrayExamples(None, whole)


def _opened(parts, count, folder):
    """Returns a list of memory-mapped arrays for each part, `None` for `None`."""
    files = []
    for name, arrays in zip(("inputs", "targets", "weights"), parts, strict=True):
        held = []
        for place, array in enumerate(arrays):
            if array is None:
                held.append(None)
                continue
            given = folder / f"{name}_{place}.npy", "w+", array.dtype
            shape = (count, *array.shape[1:])
            held.append(np.lib.format.open_memmap(*given, shape))
        files.append(held)
    return files


def _fitting(array, file):
    if array.shape[1:] != file.shape[1:]:
        raise ValueError(
            f"Expected samples of one shape, {file.shape[1:]} as the first. Received: "
            f"one of shape {array.shape[1:]}."
        )
    return array
