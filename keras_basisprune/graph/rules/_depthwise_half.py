"""The first half of a separable convolution."""

import keras


def depthwise_half(layer, name) -> keras.layers.Layer:
    """Makes the depthwise convolution that a separable one starts with.

    Args:
        layer: A `SeparableConv1D` or `SeparableConv2D`.
        name: The name that the new one is made from (`depthwise_name`).

    Returns:
        A layer that is not built; its `kernel` must be set to the separable layer's
        `depthwise_kernel`. No bias, no activation, not trainable.
    """
    kinds = {
        keras.layers.SeparableConv1D: keras.layers.DepthwiseConv1D,
        keras.layers.SeparableConv2D: keras.layers.DepthwiseConv2D,
    }
    return kinds[type(layer)](
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        depthwise_initializer="zeros",
        dtype=layer.dtype_policy,
        trainable=False,
        name=depthwise_name(name),
    )


def depthwise_name(name) -> str:
    """Returns the name of the depthwise half of a separable convolution `name`."""
    return f"{name}_depthwise"
