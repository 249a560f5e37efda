"""Writes a `.keras` network, layer by layer with its weights, for PyTorch.

    python -m benchmarks.peers.export_graph --start=a.keras --data=eurosat.npz \\
        --output=eurosat_graph.npz
    python -m benchmarks.peers.export_graph --application=MobileNet --alpha=0.25 \\
        --weights=mobilenet_0.25_224_imagenet.weights.h5 --data=some.npz \\
        --range=-1,1 --output=graph.npz

Entries are `graph` (JSON: a list of calls with the numbers of the tensors that they
read and return), `<layer>/<weight>`, and `check_images` and `check_outputs`, by which
`torch_graph.load` checks what it has built.
"""

import json
import os

import keras
import numpy as np
from absl import app, flags

from benchmarks.where_to_cut import images_and_labels, start_network
from keras_basisprune.graph.trace import trace

_OUTPUT = flags.DEFINE_string("output", None, "The .npz to write.", required=True)
_COUNT = flags.DEFINE_integer("count", 16, "Images to keep outputs of.")


def calls_of(model: keras.Model) -> list[dict]:
    """Returns the calls of a model, as values that JSON can hold."""
    traced = trace(model)
    numbers = {id(tensor): 0 for tensor in keras.tree.flatten(traced.inputs)}
    calls = []
    for call in traced.calls:
        reads = [numbers[id(tensor)] for tensor in call.input_tensors]
        (output,) = call.output_tensors
        numbers[id(output)] = len(numbers)
        calls.append(
            {
                "class": type(call.op).__name__,
                "name": call.op.name,
                "config": call.op.get_config() if _is_layer(call) else {},
                "numbers": [arg for arg in call.args if isinstance(arg, int | float)],
                "shape": call.input_tensors[0].shape[1:],
                "reads": reads,
                "returns": numbers[id(output)],
            }
        )
    return calls


def _is_layer(call):
    return isinstance(call.op, keras.layers.Layer)


def arrays_of(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the entries of the file."""
    arrays = {
        f"{call.op.name}/{weight.name}": np.asarray(weight)
        for call in trace(model).calls
        if _is_layer(call)
        for weight in call.op.weights
    }
    arrays["graph"] = np.array(json.dumps(calls_of(model), default=str))
    arrays["check_images"] = images
    arrays["check_outputs"] = model.predict(images, verbose=0)
    return arrays


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    images, _ = images_and_labels()
    arrays = arrays_of(start_network(), images[: _COUNT.value])
    draft = f"{_OUTPUT.value}.part.npz"
    np.savez(draft, **arrays)
    os.replace(draft, _OUTPUT.value)
    print(f"{_OUTPUT.value}: {len(arrays) - 3} weights")


if __name__ == "__main__":
    app.run(main)
