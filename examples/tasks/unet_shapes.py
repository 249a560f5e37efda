"""Segmentation by a U-Net, from a `tf.data.Dataset`.

python -m examples.tasks.unet_shapes
"""

import keras

import keras_basisprune as kbp
from examples.tasks.made_images import SHAPES, draw_shapes
from examples.tasks.told import tell


def network(widths=(16, 32)) -> keras.Model:
    """Makes a U-Net with a class for the ground and one for each shape."""
    x = inputs = keras.Input((32, 32, 1), name="image")
    skips = []
    for width in widths:
        x = _block(x, width)
        skips.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = _block(x, 2 * widths[-1])
    for width, skip in zip(widths[::-1], skips[::-1], strict=True):
        x = keras.layers.UpSampling2D()(x)
        x = _block(keras.layers.Concatenate()([x, skip]), width)
    classes = len(SHAPES) + 1
    outputs = keras.layers.Conv2D(classes, 1, activation="softmax", name="map")(x)
    model = keras.Model(inputs, outputs, name="unet")
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    return model


def _block(x, width):
    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))


def dataset(count, seed):
    """Makes a dataset of images and maps of classes."""
    import tensorflow as tf

    drawn = draw_shapes(count, most=2, seed=seed)
    return tf.data.Dataset.from_tensor_slices((drawn.images, drawn.maps)).batch(32)


def run(count=600, epochs=10, **options) -> kbp.CompressionResult:
    """Trains the network and makes it smaller; mean IoU is what is judged."""
    keras.utils.set_random_seed(0)
    train, validation, test = dataset(count, 0), dataset(200, 1), dataset(200, 2)
    model = network()
    model.fit(train, epochs=epochs, verbose=0)
    options = {"config": kbp.SearchOptions(samples=200), **options}
    return kbp.compress(model, train, validation, max_drop=0.02, test=test, **options)


if __name__ == "__main__":
    tell(run())
