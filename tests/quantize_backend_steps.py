"""Trains a quantization-aware network on the backend of this process.

    python quantize_backend_steps.py FOLDER

The folder holds `float.keras` and `images.npy`, and gets `moving.keras`,
`learned.keras` (trained) and `outputs.npz` (their outputs before and after training).
"""

import pathlib
import sys

import keras
import numpy as np

import keras_basisprune as kbp


def main(folder):
    model = keras.models.load_model(folder / "float.keras")
    images = np.load(folder / "images.npy")
    found = {}
    for ranges in ("moving", "learned"):
        network = kbp.quantize_aware(model, images, ranges=ranges, verbose=0)
        found[f"{ranges}_before"] = network.predict(images, verbose=0)
        config = kbp.Recovery(epochs=2, learning_rate=0.01, keep_best=False)
        kbp.recover(network, images, teacher=model, config=config, verbose=0)
        found[f"{ranges}_after"] = network.predict(images, verbose=0)
        network.save(folder / f"{ranges}.keras")
    np.savez(folder / "outputs.npz", **found)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
