"""Measures how much singular values change with 64 positions per image, not all.

    python -m benchmarks.position_sampling --model=baseline.keras --data=eurosat.npz

Per layer with more than 64 positions: the largest relative difference among the
singular values that hold 99 % of the energy.
"""

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace
from keras_basisprune.scores import activation_bases

_MODEL = flags.DEFINE_string("model", None, "A .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_IMAGES = flags.DEFINE_list("images", ["300", "600"], "Numbers of images.")


def singular_values(model, images, positions):
    """Maps layers to singular values, for a number of positions per image."""
    activation_bases.POSITIONS = positions
    pairs = basis_pairs(trace(kbp.convert(model, data=images, verbose=0)))
    return {name: pair.singular_values for name, pair in pairs.items()}


def main(_):
    model = keras.models.load_model(_MODEL.value)
    size, channels = model.input_shape[1], model.input_shape[-1]
    images = kbp.load_data(_DATA.value, image_size=size, channels=channels).train[0]
    images = images[np.random.default_rng(0).permutation(len(images))]
    most = size * size
    for count in map(int, _IMAGES.value):
        some = singular_values(model, images[:count], 64)
        whole = singular_values(model, images[:count], most)
        for name, exact in whole.items():
            energy = np.cumsum(exact**2) / np.sum(exact**2)
            rank = int(np.searchsorted(energy, 0.99)) + 1
            error = np.max(np.abs(some[name][:rank] / exact[:rank] - 1))
            if error > 1e-5:
                print(f"{count} images, {name}: {error:.1%}", flush=True)


if __name__ == "__main__":
    app.run(main)
