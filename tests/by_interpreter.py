"""Runs a `.tflite` file image by image, on a plain interpreter."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def outputs(path, images):
    """Outputs of a file with one input and one output, by the scales in it."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    (made,) = interpreter.get_output_details()
    found = []
    for image in images:
        scale, zero = given["quantization"]
        if scale:
            # Pixels in [-1, 1] are halfway between two integers.
            image = np.clip(np.floor(image / scale + 0.501) + zero, -128, 127)
        interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
        interpreter.invoke()
        values = interpreter.get_tensor(made["index"])
        scale, zero = made["quantization"]
        found.append((values.astype("float32") - zero) * scale if scale else values)
    return np.concatenate(found)


def classes(path, images):
    """Classes that a file of a classifier predicts."""
    return outputs(path, images).argmax(-1)


def steps_apart(path, images, expected):
    """Compares a file of one input and output with the outputs of Keras.

    Returns the largest difference in steps of the output's scale, and the share of
    places with the same largest channel.
    """
    interpreter = Interpreter(str(path))
    (made,) = interpreter.get_output_details()
    found = outputs(path, images).reshape(expected.shape)
    same = found.argmax(-1) == expected.argmax(-1)
    step = made["quantization"][0] or 1.0
    return float(np.abs(found - expected).max() / step), float(same.mean())
