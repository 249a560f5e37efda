"""What a layer returns that rounds its inputs."""

import keras


def rounded_spec(layer, inputs, scale_only) -> keras.KerasTensor:
    """Returns the specification of rounded inputs, or of their scale alone.

    Args:
        layer: The layer, of whose compute dtype rounded inputs are.
        inputs: A tensor.
        scale_only: Whether the layer returns the scale, a float32 number.
    """
    if scale_only:
        return keras.KerasTensor((), dtype="float32")
    return keras.KerasTensor(inputs.shape, dtype=layer.compute_dtype)
