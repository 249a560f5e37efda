"""VGG16 with weights of ImageNet."""

import keras
import numpy as np

MEAN = (103.939, 116.779, 123.68)  # of ImageNet, blue first
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg16(weights, classes, images, size=32):
    """VGG16 with a new head, from pixels in [0, 255].

    Its convolutions have the weights of an `.npz` file with arrays `<layer>/kernel` and
    `<layer>/bias`, or, if that is None, random ones.

    The published weights make values of hundreds out of pixels. Since all of it is
    homogeneous, each layer is divided by the root mean square of its outputs on some
    images: the function is the same but for a factor.
    """
    x = inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 64, [-m / 64 for m in MEAN])(x[..., ::-1])
    convolutions = []
    for block, (filters, count) in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            layer = keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                name=f"block{block}_conv{number}",
            )
            x = layer(x)
            convolutions.append((layer, x))
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    head = keras.layers.Dense(classes, activation="softmax", name="head")
    model = keras.Model(inputs, head(x), name="vgg16")
    if weights:
        with np.load(weights) as arrays:
            for layer, _ in convolutions:
                found = [arrays[f"{layer.name}/{k}"] for k in ("kernel", "bias")]
                layer.set_weights([array.astype("float32") for array in found])
        before = 1 / 64  # what the layer's inputs have been divided by, compared with
        for layer, output in convolutions:  # what its kernel expects
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel / before, bias])
            values = keras.Model(inputs, output).predict(images, verbose=0)
            size = float(np.sqrt(np.mean(np.square(values))))
            layer.set_weights([kernel / (before * size), bias / size])
            before = 1 / size
    return model
