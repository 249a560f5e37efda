"""Several labels per image: which shapes are in it?

python -m examples.tasks.multi_label
"""

import keras

import keras_basisprune as kbp
from examples.tasks.made_images import draw_shapes
from examples.tasks.told import tell


def network() -> keras.Model:
    """Makes a network with a sigmoid for each of three shapes."""
    x = inputs = keras.Input((32, 32, 1), name="image")
    for width in (16, 32, 64):
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    outputs = keras.layers.Dense(3, activation="sigmoid", name="shapes")(x)
    model = keras.Model(inputs, outputs, name="shapes_in_an_image")
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    return model


def run(count=1500, epochs=14, **options) -> kbp.CompressionResult:
    """Trains the network and makes it smaller; binary accuracy is what is judged."""
    keras.utils.set_random_seed(0)
    train, validation, test = (
        (drawn.images, drawn.present)
        for drawn in (
            draw_shapes(number, most=3, seed=seed)
            for seed, number in enumerate((count, 500, 500))
        )
    )
    model = network()
    model.fit(*train, epochs=epochs, verbose=0)
    return kbp.compress(model, train, validation, max_drop=0.01, test=test, **options)


if __name__ == "__main__":
    tell(run())
