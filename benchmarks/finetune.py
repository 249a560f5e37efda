"""Fine-tunes a trained classifier on data, all weights, with a new head.

    python -m benchmarks.finetune --start=vgg_cifar.keras --data=mnist.npz --epochs=4 \\
        --output=vgg_mnist.keras

The last layer is replaced by one for the classes of the data. Prints costs, test
accuracy and the seconds of training.
"""

import time

import keras
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.augment_flags import augment

_START = flags.DEFINE_string("start", None, "A .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .keras to write.", required=True)
_EPOCHS = flags.DEFINE_integer("epochs", 4, "Epochs.")
_RATE = flags.DEFINE_float("rate", 1e-3, "Initial learning rate of Adam.")
_BATCH = flags.DEFINE_integer("batch", 32, "Batch size.")
_SPLIT = flags.DEFINE_float("validation_split", 0.1, "If the data has no validation.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(_SEED.value)
    start = keras.models.load_model(_START.value)
    size, channels = start.input_shape[1], start.input_shape[-1]
    data = kbp.load_data(
        _DATA.value, image_size=size, channels=channels, validation_split=_SPLIT.value
    )
    print(data)
    classes = len(data.class_names)
    head = keras.layers.Dense(classes, activation="softmax", name="head")
    model = keras.Model(start.inputs, head(start.layers[-1].input), name=start.name)
    config = kbp.Recovery(
        epochs=_EPOCHS.value,
        learning_rate=_RATE.value,
        batch_size=_BATCH.value,
        augment=augment(),
        momentum=1.0,
        seed=_SEED.value,
    )
    begin = time.time()
    kbp.recover(model, data.train, config=config, verbose=2)
    seconds = time.time() - begin
    accuracy = kbp.measure.accuracy(model, data.test)
    print(f"{kbp.measure.cost(model)}; test accuracy {accuracy:.4f}; {seconds:.0f} s")
    model.save(_OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
