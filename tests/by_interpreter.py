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
            image = np.clip(np.round(image / scale) + zero, -128, 127)
        interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
        interpreter.invoke()
        values = interpreter.get_tensor(made["index"])
        scale, zero = made["quantization"]
        found.append((values.astype("float32") - zero) * scale if scale else values)
    return np.concatenate(found)


def classes(path, images):
    """Classes that a file of a classifier predicts."""
    return outputs(path, images).argmax(-1)
