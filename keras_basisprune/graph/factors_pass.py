"""Layers behind which a factor per channel is one in front of them."""

import keras

_LINEAR = (
    *(keras.layers.Dropout, keras.layers.Identity, keras.layers.Flatten),
    *(getattr(keras.layers, f"SpatialDropout{n}D") for n in (1, 2, 3)),
    *(getattr(keras.layers, f"AveragePooling{n}D") for n in (1, 2, 3)),
    *(getattr(keras.layers, f"GlobalAveragePooling{n}D") for n in (1, 2, 3)),
    *(getattr(keras.layers, f"ZeroPadding{n}D") for n in (1, 2, 3)),
    *(getattr(keras.layers, f"Cropping{n}D") for n in (1, 2, 3)),
    *(getattr(keras.layers, f"UpSampling{n}D") for n in (1, 2, 3)),
)
_LARGEST = (  # the same, unless it turns the largest value into the smallest
    *(getattr(keras.layers, f"MaxPooling{n}D") for n in (1, 2, 3)),
    *(getattr(keras.layers, f"GlobalMaxPooling{n}D") for n in (1, 2, 3)),
)


def factors_pass(layer, positive: bool = True) -> bool:
    """Whether channels pass a layer by themselves, and factors of theirs with them.

    So do zeros. `Concatenate` is among these: what is read behind it is what it reads.

    Args:
        layer: A layer or other operation.
        positive: Whether no factor is negative.

    Returns:
        A boolean.
    """
    kinds = (*_LINEAR, keras.layers.Concatenate)
    return type(layer) in (kinds + _LARGEST if positive else kinds)
