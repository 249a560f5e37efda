"""The networks of the comparison that are trained here, in Keras."""

import keras

_VGG = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_RESNET56 = (16, 32, 64)
_BLOCKS = 9


def vgg(width: float, image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Builds VGG16 with BatchNormalization and one dense layer after it."""
    inputs = keras.Input(image_shape)
    x, number = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs), 0
    for depth, channels in _VGG:
        for _ in range(depth):
            number += 1
            x = _convolution(x, round(channels * width), 3, 1, f"conv_{number}")
            x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
    return _headed(inputs, x, classes)


def resnet56(
    width: float, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Builds the ResNet-56 for 32x32 images, with 1x1 projections between stages.

    Source: He, Zhang, Ren, Sun 2015, *Deep Residual Learning for Image Recognition*
    (arXiv:1512.03385), section 4.2; shortcuts of kind B.
    """
    inputs = keras.Input(image_shape)
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    x = keras.layers.ReLU()(_convolution(x, round(16 * width), 3, 1, "conv_0"))
    for stage, channels in enumerate(_RESNET56, 1):
        cout = round(channels * width)
        for block in range(1, _BLOCKS + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name, shortcut = f"conv_{stage}_{block}", x
            if stride == 2:
                shortcut = _convolution(x, cout, 1, 2, f"conv_{stage}_0")
            x = _convolution(x, cout, 3, stride, f"{name}_1")
            x = _convolution(keras.layers.ReLU()(x), cout, 3, 1, f"{name}_2")
            x = keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))
    return _headed(inputs, x, classes)


def _convolution(x, channels: int, size: int, stride: int, name: str):
    """Builds a convolution and its BatchNormalization (`bn` for `conv` in its name)."""
    x = keras.layers.Conv2D(
        channels,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    name = name.replace("conv", "bn")
    return keras.layers.BatchNormalization(momentum=0.9, name=name)(x)


def _headed(inputs, x, classes: int) -> keras.Model:
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs)
