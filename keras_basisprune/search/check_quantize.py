"""Checks that a network can be quantization-aware."""

from keras_basisprune.training.quantization import quantize_aware

_SAMPLES = 32


def check_quantize(model, images, shipped):
    """Raises `ValueError` unless a network can round as its int8 file does.

    Args:
        model: The original `keras.Model`.
        images: Unlabelled samples.
        shipped: A `Shipped`.
    """
    try:
        shipped(
            quantize_aware(
                model, images, rounding="nearest", samples=_SAMPLES, verbose=0
            )
        )
    except ValueError as error:
        raise ValueError(
            "Expected `recover.quantize` to be true for models that `quantize_aware` "
            f"and `export_tflite` take. Received: {model.name!r}. {error}"
        ) from error
