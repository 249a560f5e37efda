"""Runs `.tflite` files that were made from a model at hand."""

import pathlib

from keras_basisprune.export.litert_file import LiteRTFile


def run_file(path, inputs, names, output_names):
    """Runs a file on the LiteRT interpreter.

    Integer inputs and outputs with a scale are quantised and dequantised, so that the
    numbers are those of the Keras model.

    Args:
        path: The path of the file.
        inputs: A list of arrays, one per input, of one common length.
        names: The name of each input in the file's signature.
        output_names: The name of each output in the file's signature.

    Returns:
        A list of arrays, one per output.
    """
    file = LiteRTFile(pathlib.Path(path).read_bytes(), workers=1)
    given = dict(zip(names, inputs, strict=True))
    found = file([given[spec.name] for spec in file.inputs])
    found = dict(zip(file.outputs, found, strict=True))
    return [found[name] for name in output_names]


def signature_outputs(model):
    """Returns the names of a file's outputs in the order in which Keras flattens them.

    Args:
        model: The `keras.Model` that the file was made from, its outputs a tensor, or
            a list or dict of tensors.
    """
    structure = None if len(model.outputs) == 1 else model.output
    if isinstance(structure, dict):
        return sorted(structure)
    return [f"output_{index}" for index in range(len(model.outputs))]
