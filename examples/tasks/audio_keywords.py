"""Keywords in one-dimensional audio, from a `keras.utils.PyDataset` with logits.

python -m examples.tasks.audio_keywords
"""

import keras
import numpy as np

import keras_basisprune as kbp
from examples.tasks.told import tell

LENGTH, RATE = 1024, 4000
# Two tones each, in Hz.
WORDS = ((300, 500), (500, 300), (300, 800), (800, 500))


class Recordings(keras.utils.PyDataset):
    """Batches of short recordings of four words, made when they are asked for."""

    def __init__(self, count, seed, batch_size=32):
        super().__init__()
        self._count, self._seed, self._size = count, seed, batch_size

    @property
    def num_batches(self):
        return -(-self._count // self._size)

    def __getitem__(self, index):
        rng = np.random.default_rng((self._seed, index))
        size = min(self._size, self._count - index * self._size)
        labels = rng.integers(len(WORDS), size=size)
        times = np.arange(LENGTH) / RATE
        sounds = rng.normal(0, 0.5, (size, LENGTH))
        for number, word in enumerate(labels):
            start = rng.integers(0, LENGTH // 4)
            for part, pitch in enumerate(WORDS[word]):
                begin = start + part * LENGTH // 3
                place = slice(begin, begin + LENGTH // 3)
                pitch = pitch * rng.uniform(0.93, 1.07)
                sounds[number, place] += np.sin(2 * np.pi * pitch * times[place])
        return sounds[..., None].astype("float32"), labels


def network() -> keras.Model:
    """Makes a network of one-dimensional convolutions that ends in logits."""
    x = inputs = keras.Input((LENGTH, 1), name="sound")
    for width, stride in ((32, 4), (48, 4), (64, 2)):
        x = keras.layers.Conv1D(width, 9, stride, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalMaxPooling1D()(x)
    model = keras.Model(inputs, keras.layers.Dense(len(WORDS), name="word")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    return model


def run(count=1600, epochs=6, **options) -> kbp.CompressionResult:
    """Trains the network and makes it smaller, by what the data set reads."""
    keras.utils.set_random_seed(0)
    train, validation, test = (
        Recordings(number, seed) for seed, number in enumerate((count, 400, 400))
    )
    model = network()
    model.fit(train, epochs=epochs, verbose=0)
    options = {"config": kbp.SearchOptions(samples=500), **options}
    return kbp.compress(model, train, validation, max_drop=0.01, test=test, **options)


if __name__ == "__main__":
    tell(run())
