"""Runs `.tflite` files."""

import numpy as np

from keras_basisprune.data.batching.run_batches import run_batches


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
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner()
    details, results = runner.get_input_details(), runner.get_output_details()
    batch = int(details[names[0]]["shape_signature"][0])

    def run(arrays):
        feed = {
            name: _quantise(array, details[name])
            for name, array in zip(names, arrays, strict=True)
        }
        outputs = runner(**feed)
        return [_dequantise(outputs[name], results[name]) for name in output_names]

    return run_batches(run, inputs, len(inputs[0]) if batch < 0 else batch)


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


def _quantise(array, details):
    """Turns numbers into the integers of a quantised tensor; else sets the dtype."""
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"])
    if not scale or dtype.kind not in "iu":
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    steps = np.round(array.astype("float64") / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def _dequantise(array, details):
    """Turns the integers of a quantised tensor into numbers."""
    scale, zero_point = details["quantization"]
    if not scale or array.dtype.kind not in "iu":
        return array
    return (array.astype("float32") - zero_point) * np.float32(scale)
