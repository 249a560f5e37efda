"""Batches whose order and augmentation depend on a seed and the epoch's number."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.spread import run_spread
from keras_basisprune.graph.running import predict
from keras_basisprune.training.as_tuples import as_tuples
from keras_basisprune.training.seeds import set_global_seed, set_seeds


@dataclasses.dataclass(frozen=True)
class EpochData:
    """The data of epochs.

    Attributes:
        images: Array of images.
        targets: Array of as many labels or probabilities; `None` if the teacher
            predicts them for the augmented images of every epoch.
        augment: A function or layer on batches of images, or `None`.
        teacher: A classifier whose probabilities are the targets, or `None`.
        shape: Shape that augmented images must fit; `None` for any size.
        weights: Array of as many weights; `None` without.

    Images, targets and weights may also be `Rows`, for several inputs or outputs.
    """

    images: Any
    targets: Any
    augment: Callable[[np.ndarray], Any] | None = None
    teacher: keras.Model | None = None
    shape: tuple[int | None, ...] | None = None
    weights: Any = None


class Epochs(keras.utils.PyDataset):
    """Shuffled and optionally augmented batches for `keras.Model.fit`.

    Pass `shuffle=False` to `fit`, and call `start` in a callback's `on_epoch_begin`.
    `PyDataset.on_epoch_end` can't replace it: Keras calls that before the first epoch
    too, not after an interrupted one, and without the epoch's number; and a run that
    `BackupAndRestore` resumes doesn't begin with the first epoch.

    Augmented images of one epoch are held in memory at a time, in whatever dtype
    `augment` returns (`float32`, for Keras' layers).

    Args:
        data: An `EpochData`.
        batch_size: Integer.
        seed: Integer that determines the order, and the random numbers of `augment` if
            it is a `keras.layers.Layer` or uses the global random state.
        epoch: Integer, the first epoch's number.
        whole: Whether the last batch is filled up with images of the first.
    """

    def __init__(self, data, batch_size, seed, epoch=0, whole=False):
        super().__init__()
        self.batch_size, self.seed = batch_size, seed
        self._data, self._whole = data, whole
        self._epoch = None
        self.start(epoch)

    @property
    def num_batches(self):
        return -(-len(self._data.images) // self.batch_size)

    def start(self, epoch):
        """Makes the batches of an epoch, unless they are made already.

        The global random state is set in both cases.
        """
        set_global_seed(self.seed, epoch)
        if epoch == self._epoch:
            return
        count, self._batches = len(self._data.images), None
        order = np.random.default_rng((self.seed, epoch)).permutation(count)
        order = fill_up(order, self.batch_size) if self._whole else order
        self._order = np.split(order, range(self.batch_size, count, self.batch_size))
        if self._data.augment is not None:
            if isinstance(self._data.augment, keras.layers.Layer):
                set_seeds(self._data.augment, self.seed, epoch)
            self._batches = [self._augmented(chosen) for chosen in self._order]
        self._epoch = epoch

    def __getitem__(self, index):
        if self._batches is not None:
            return self._batches[index]
        data, chosen = self._data, self._order[index]
        return self._weighted(data.images[chosen], data.targets[chosen], chosen)

    def _augmented(self, chosen):
        data = self._data
        images = augmented_images(data.augment, data.images[chosen], data.shape)
        if data.targets is not None:
            return self._weighted(images, data.targets[chosen], chosen)
        found = keras.tree.map_structure(
            lambda x: np.asarray(x, "float32"), _answers(data.teacher, images)
        )
        return self._weighted(images, found, chosen)

    def _weighted(self, images, targets, chosen):
        weights = self._data.weights
        if weights is None:
            return as_tuples((images, targets))
        return as_tuples((images, targets, weights[chosen]))


def _answers(teacher, images):
    if fixed_batch(teacher) is not None:
        return predict(teacher, images)
    return run_spread(teacher, images)


def augmented_images(augment, images, shape=None) -> np.ndarray:
    """Returns images as a function or layer has changed them.

    Args:
        augment: A function or layer on batches of images.
        images: Array of images.
        shape: Shape that they must have then, the batch axis included, `None` for any
            size; `None` for the one that they have.

    Raises:
        ValueError: If their shape is another one.
    """
    is_layer = isinstance(augment, keras.layers.Layer)
    made = augment(images, training=True) if is_layer else augment(images)
    made = np.asarray(keras.ops.convert_to_numpy(made))
    wanted = (len(images), *(shape or images.shape)[1:])
    fits = len(made.shape) == len(wanted) and all(
        want in (None, have) for want, have in zip(wanted, made.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `augment` to return images of shape {wanted}. Received: shape "
            f"{made.shape}, for images of shape {images.shape}. Return the batch in "
            "the size that the model takes."
        )
    return made
