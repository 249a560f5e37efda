"""Scores on the backend of this process, as JSON: a worker of the tests."""

import json
import sys

import keras
import numpy as np
from relevance_encoders import images

import keras_basisprune as kbp


def encoder():
    """An encoder with the same weights on all backends."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    rng = np.random.default_rng(0)
    kernel, *others = model.get_weights()
    others = [0.5 + rng.random(weights.shape) / 3 for weights in others]
    model.set_weights([rng.normal(size=kernel.shape), *others])
    return model


def scores():
    """Scores by all methods."""
    source, target = images(40, 0), images(30, 1, 90)
    return {
        method: kbp.data.select_relevant(
            source, target, encoder(), keep=0.5, method=method, verbose=0
        ).scores.tolist()
        for method in ("clusters", "domain", "random")
    }


if __name__ == "__main__":
    found = {"backend": keras.backend.backend(), **scores()}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(found, file)
