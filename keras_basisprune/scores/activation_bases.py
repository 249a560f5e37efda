"""Computes bases of the outputs of layers, in one pass over data."""

import functools
import math

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.batching.spread import run_spread
from keras_basisprune.graph.free_names import FreeNames
from keras_basisprune.graph.graph_function import GraphFunction
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.linalg import LowRank, Moments, principal_basis

# The most positions per image and map; docs/benchmarks.md has the error.
POSITIONS = 64


def activation_bases(twin, keys, batches, verbose) -> dict[int, LowRank]:
    """Computes the bases of each layer's outputs, all layers in one pass.

    From maps with more than 64 positions, 64 are sampled, spread over the map and
    different for each image, depending on its content. Sums are float64, so that
    neither batch size nor order of the data matter, up to rounding. Memory does not
    depend on the number of images: the sum of `cout^2` over the layers, and one batch
    through the network.

    Args:
        twin: A `LinearTwin`.
        keys: Keys of those of its `layers` to compute bases for.
        batches: An iterable of lists of arrays, one per input of the twin; read once.
        verbose: Whether to show a progress bar.

    Returns:
        A dict from `keys` to `LowRank`s of full rank.
    """
    reader = OutputReader(twin, keys)
    reader.read(tqdm(batches, unit="batch", disable=not verbose))
    return reader.bases()


class OutputReader:
    """Sums up the outputs of a model's layers, batch by batch.

    Args:
        twin: A `LinearTwin`.
        keys: Keys of those of its `layers` to read.
        exact: Whether all products are float64, as in `Moments`.

    Attributes:
        count: Number of samples so far.
        moments: Maps the keys to the `Moments` of the layers' outputs.
    """

    def __init__(self, twin, keys, exact=False):
        self._layers = {key: twin.layers[key] for key in keys}
        self._probe, self._owners = _probe(twin.model, self._layers)
        self._size, self._exact = 0, exact
        self.clear()

    def clear(self):
        """Begins again; what was summed up belongs to those who have it."""
        self.count = 0
        self.moments = {
            key: Moments(layer.bias.shape[0], exact=self._exact)
            for key, layer in self._layers.items()
        }

    def read(self, batches):
        """Adds samples: an iterable of lists of arrays, one per input of the twin."""
        for arrays in batches:
            outputs = self._outputs(arrays)
            self.count += len(arrays[0])
            for key, output in zip(self._owners, outputs, strict=True):
                self.moments[key].add(output.reshape(-1, output.shape[-1]))

    def bases(self) -> dict[int, LowRank]:
        """Returns the bases of each layer, and lets go of what was summed up."""
        return {
            key: basis_of_moments(layer, self.moments.pop(key))
            for key, layer in self._layers.items()
        }

    def _outputs(self, arrays):
        """Returns the outputs of a batch, as a list of arrays.

        TensorFlow compiles the probe again for the first batch of another size. Usually
        that is the last, smaller one. If there is one output per sample, it is padded.
        """
        count = len(arrays[0])
        inputs = [*arrays, position_jitter(arrays, POSITIONS)]
        if missing := max(0, self._size - count):
            inputs = [np.concatenate([x, *[x[-1:]] * missing]) for x in inputs]
        outputs = keras.tree.flatten(run_spread(self._probe, inputs))
        if missing:
            outputs = [output[:count] for output in outputs]
            # If small batches are frequent, compiling for them is worth it.
            self._size = 0
        if not self.count and all(len(output) == count for output in outputs):
            self._size = count
        return outputs


def basis_of_moments(layer, moments) -> LowRank:
    """Returns the basis of a layer's outputs.

    Args:
        layer: A layer of a `LinearTwin`, linear and with a bias.
        moments: `Moments` of its outputs.

    Returns:
        A `LowRank` of full rank.
    """
    moments.check(layer.name)
    matrix = keras.ops.convert_to_numpy(rule_of(layer).matrix(layer))
    bias = keras.ops.convert_to_numpy(layer.bias).astype(np.float64)
    return principal_basis(
        matrix.astype(np.float64),
        moments.covariance,
        moments.mean - bias,
        moments.mean,
        floor(layer.compute_dtype),
    )


def floor(compute_dtype) -> float:
    """Returns the smallest relative deviation that features are divided by."""
    return 1e-3 if compute_dtype == "float16" else 1e-6  # less would overflow


def _probe(model, layers):
    """Returns a model of the sampled outputs of all calls of `layers`, and owners."""
    keys = {id(layer): key for key, layer in layers.items()}
    outputs, owners, free = [], [], FreeNames(model.operations)
    jitter = keras.Input((POSITIONS,), dtype="float32", name=free("position_jitter"))

    def call(op, *args, **kwargs):
        output = op(*args, **kwargs)
        if id(op) in keys:
            first = getattr(op, "data_format", "") == "channels_first"
            outputs.append(
                GraphFunction(
                    functools.partial(_sampled, first=first),
                    (None, None, op.bias.shape[0]),
                    output.dtype,
                    free(f"{op.name}_sampled"),
                )(output, jitter)
            )
            owners.append(keys[id(op)])
        return output

    copy = keras.models.clone_model(
        model, clone_function=lambda op: op, call_function=call
    )
    return keras.Model([*copy.inputs, jitter], outputs), owners


def _sampled(output, jitter, first):
    """Returns outputs at some positions: shape `(batch, positions, channels)`.

    Sizes of maps may be unknown until there is an image.
    """
    if first:
        output = keras.ops.moveaxis(output, 1, -1)
    shape = keras.ops.shape(output)
    output = keras.ops.reshape(output, (shape[0], math.prod(shape[1:-1]), shape[-1]))
    size = keras.ops.shape(output)[1]
    if isinstance(size, int) and size <= POSITIONS:
        return output
    count, moved = POSITIONS, jitter
    if not isinstance(size, int):  # on TensorFlow, where images may be of any size
        count = keras.ops.minimum(size, POSITIONS)
        moved = jitter * keras.ops.cast(size > POSITIONS, "float32")
    places = keras.ops.arange(POSITIONS, dtype="float32") + moved
    places = places[:, :count] * keras.ops.cast(size / count, "float32")
    places = keras.ops.minimum(keras.ops.cast(places, "int32"), size - 1)
    return keras.ops.take_along_axis(output, places[..., None], axis=1)
