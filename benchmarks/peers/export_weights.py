"""Writes the weights of a `.keras` file, and outputs to check them with, as `.npz`.

    python -m benchmarks.peers.export_weights --model=vgg.keras --data=cifar10.npz \\
        --output=vgg_weights.npz

Entries are `<layer>/<weight>`, and `check_images` and `check_logits`.
"""

import os

import keras
import numpy as np
from absl import app, flags

from benchmarks.peers import common

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .npz to write.", required=True)
_COUNT = flags.DEFINE_integer("count", 64, "Test images to keep outputs of.")


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns weights of all layers, nested models included, as `<layer>/<weight>`."""
    arrays = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            arrays |= weights_of(layer)
        else:
            for weight in layer.weights:
                arrays[f"{layer.name}/{weight.name}"] = np.asarray(weight)
    return arrays


def logits_of(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the outputs of the last layer, `head`, before its softmax."""
    head = model.get_layer("head")
    features = keras.Model(model.inputs, head.input).predict(images, verbose=0)
    return features @ np.asarray(head.kernel) + np.asarray(head.bias)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    model = keras.saving.load_model(_MODEL.value)
    _, (images, _) = common.load(_DATA.value)
    arrays = weights_of(model)
    arrays["check_images"] = images[: _COUNT.value]
    arrays["check_logits"] = logits_of(model, arrays["check_images"])
    draft = f"{_OUTPUT.value}.part.npz"
    np.savez(draft, **arrays)
    os.replace(draft, _OUTPUT.value)
    print(f"{_OUTPUT.value}: {len(arrays) - 2} weights")


if __name__ == "__main__":
    app.run(main)
