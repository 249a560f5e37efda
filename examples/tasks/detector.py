"""Two heads: what is in the image, and where?

python -m examples.tasks.detector
"""

import keras
import numpy as np

import keras_basisprune as kbp
from examples.tasks.made_images import SHAPES, draw_shapes
from examples.tasks.told import tell


def network(steps=1600) -> keras.Model:
    """Makes a network with heads for class and box, to be trained for some steps."""
    x = inputs = keras.Input((32, 32, 1), name="image")
    for width in (16, 32, 64):
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    heads = {
        "shape": keras.layers.Dense(len(SHAPES), activation="softmax")(x),
        "box": keras.layers.Dense(4)(x),
    }
    model = keras.Model(inputs, heads, name="detector")
    losses = {"shape": "sparse_categorical_crossentropy", "box": "mse"}
    weights = {"shape": 1.0, "box": 5.0}
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), losses, loss_weights=weights)
    return model


def found(model, data) -> np.ndarray:
    """Tells which objects are found: the right shape, and a box that overlaps."""
    images, truth = data
    said = model.predict(images, verbose=0)
    right = said["shape"].argmax(-1) == truth["shape"]
    return right & (overlaps(said["box"], truth["box"]) >= 0.5)


def overlaps(boxes, others) -> np.ndarray:
    """Returns the intersection over union of boxes (x, y, width, height)."""
    (low, high), (low_2, high_2) = (
        (box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2)
        for box in (boxes, others)
    )
    sides = np.clip(np.minimum(high, high_2) - np.maximum(low, low_2), 0, None)
    shared = sides.prod(-1)
    return shared / ((high - low).prod(-1) + (high_2 - low_2).prod(-1) - shared)


def run(count=2000, epochs=25, **options) -> kbp.CompressionResult:
    """Trains the network and makes it smaller; judged by objects that are found."""
    keras.utils.set_random_seed(0)
    train, validation, test = (
        (drawn.images, {"shape": drawn.classes, "box": drawn.boxes})
        for drawn in (draw_shapes(n, seed=s) for s, n in enumerate((count, 400, 400)))
    )
    model = network(steps=epochs * -(-count // 32))
    model.fit(*train, epochs=epochs, verbose=0)
    config = kbp.SearchOptions(rounds=2)
    options = {"recover": "all", "epochs": 5, "config": config, **options}
    metrics = [found, "auto"]
    return kbp.compress(
        model, train, validation, metric=metrics, max_drop=0.02, test=test, **options
    )


if __name__ == "__main__":
    tell(run())
