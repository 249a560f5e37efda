"""Features of images, by any Keras model."""

import keras
import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.spread import run_spread
from keras_basisprune.data.relevance.fitted_batches import fitted_batches
from keras_basisprune.data.relevance.streams.open_stream import takes_images
from keras_basisprune.utils.check_kind import check_kind


class FeatureExtractor:
    """Computes features of samples, batch by batch.

    Images are brought to the size and channels of the encoder's input; where it takes
    any, to `image_size`, or else to the size of `first`. All batches have one size (the
    last one is filled up with samples that are left out of the result), so that
    features don't depend on how a source is divided.

    Args:
        encoder: A built `keras.Model` with outputs of shape `(batch, features)`, or
            maps of features, which are averaged over all positions. Several outputs
            are joined.
        batch_size: Integer, samples at a time.
        image_size: `(height, width)` that images are brought to first; `None` for none.
        first: Shape `(height, width, channels)` of the target's first image; `None`
            where the encoder takes no images.

    Attributes:
        batch_size: Integer, samples at a time.
        shape: Shape of the images that the encoder gets; `None` for other inputs.
    """

    def __init__(self, encoder, batch_size, image_size=None, first=None):
        self._features = _Features(encoder)
        self._features.compile(jit_compile=False)
        self._size = image_size
        inputs = getattr(encoder, "inputs", None)
        self.shape = None
        if takes_images(encoder):
            wanted = tuple(inputs[0].shape[1:]) if inputs else (None,) * 3
            ends = zip(wanted, (*(image_size or first[:2]), first[2]), strict=True)
            self.shape = tuple(own or found for own, found in ends)
        self._structure = encoder.input if inputs and len(inputs) > 1 else None
        self.batch_size = (fixed_batch(encoder) if inputs else None) or batch_size

    def __call__(self, pairs):
        """Yields features, in arrays of shape `(up to batch_size, features)`, float32.

        Args:
            pairs: What a stream's `read` yields: arrays, one per input, and names.
                Names are left out.
        """
        given = self.batch_size, self.shape, self._size
        yield from map(self._run, fitted_batches(pairs, *given))

    def _run(self, arrays):
        count = len(arrays[0])
        arrays = [fill_up(array, self.batch_size) for array in arrays]
        inputs = arrays[0]
        if self._structure is not None:
            inputs = keras.tree.pack_sequence_as(self._structure, arrays)
        found = np.asarray(run_spread(self._features, inputs))[:count]
        if not np.isfinite(found).all():
            raise ValueError(
                "Expected `encoder` to give finite features. Received: NaN or "
                "infinity in its outputs. Check its weights, and the range of pixels "
                "that it takes."
            )
        return found


def check_encoder(encoder):
    """Raises `ValueError` unless `encoder` is a built model."""
    check_kind("encoder", encoder, keras.Model, "Pass a network without its head.")
    if not encoder.built:
        raise ValueError(
            "Expected `encoder` to be built. Received: a model without weights, "
            f"{encoder.name!r}. Call it on a batch once."
        )


class _Features(keras.Model):
    """An encoder whose maps are averaged, and whose outputs are joined."""

    def __init__(self, encoder):
        super().__init__(name="features")
        self._encoder = encoder

    def call(self, inputs):
        outputs = keras.tree.flatten(self._encoder(inputs, training=False))
        return keras.ops.concatenate([_averaged(x) for x in outputs], axis=-1)


def _averaged(outputs):
    """Returns outputs of shape `(batch, features)`, as float32."""
    outputs = keras.ops.cast(outputs, "float32")
    rank = len(outputs.shape)
    if rank < 2:
        raise ValueError(
            "Expected `encoder` to give features of shape (batch, features), or maps "
            f"of them. Received: an output of shape {tuple(outputs.shape)}. Leave out "
            "its last layers."
        )
    first = keras.config.image_data_format() == "channels_first" and rank > 3
    axes = range(2, rank) if first else range(1, rank - 1)
    return keras.ops.mean(outputs, axis=tuple(axes)) if rank > 2 else outputs
