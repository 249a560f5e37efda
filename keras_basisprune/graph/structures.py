"""The structures in which a model takes inputs and returns outputs."""

import keras


def structures(model) -> tuple:
    """Returns the structures of a model's inputs and outputs.

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        A pair of a single tensor, or a list or dict of tensors, each.
    """
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output
