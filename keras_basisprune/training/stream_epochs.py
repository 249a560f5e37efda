"""Batches of a stream, whose targets are made on the way."""

import keras
import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.graph.run_examples import outputs_of
from keras_basisprune.training.as_tuples import as_tuples
from keras_basisprune.training.epochs import augmented_images
from keras_basisprune.training.seeds import set_global_seed, set_seeds


class StreamEpochs(keras.utils.PyDataset):
    """Batches for `keras.Model.fit` that are read, changed and answered on the way.

    For data that do not fit into memory, or whose targets don't. A batch is in memory
    at a time. Arrays are shuffled in every epoch; a stream keeps its own order, so let
    a dataset shuffle.

    Args:
        examples: `ArrayExamples` or `StreamExamples`.
        structures: A pair of structures of the model's inputs and outputs, as
            `keras.tree.pack_sequence_as` takes them.
        teacher: A model whose outputs are the targets; `None` for labels.
        augment: A function or layer on batches of images, or `None`.
        batch_size: Integer.
        seed: Integer that determines the order of arrays, and what `augment` draws.
        epoch: Integer, the first epoch's number.
        whole: Whether the last batch is filled up.
        weigh: A function of a `Batch` that returns its weights, or `None`.
    """

    def __init__(
        self,
        examples,
        structures,
        teacher,
        augment,
        batch_size,
        seed,
        epoch=0,
        whole=False,
        weigh=None,
    ):
        super().__init__()
        self.batch_size, self.seed = batch_size, seed
        self._examples, self._structures, self._teacher = examples, structures, teacher
        self._augment, self._whole, self._weigh = augment, whole, weigh
        self._epoch, self._source, self._next = None, None, 0
        self.start(epoch)

    @property
    def num_batches(self):
        return -(-len(self._examples) // self.batch_size)

    def start(self, epoch):
        """Begins an epoch; the global random state is set."""
        set_global_seed(self.seed, epoch)
        self._epoch, self._source = epoch, None
        if isinstance(self._augment, keras.layers.Layer):
            set_seeds(self._augment, self.seed, epoch)

    def __getitem__(self, index):
        if self._source is None or index != self._next:
            self._source, self._next = self._batches(), 0
            for _ in range(index):
                next(self._source)
                self._next += 1
        batch = next(self._source)
        self._next += 1
        return self._prepared(batch)

    def _batches(self):
        size, examples = self.batch_size, self._examples
        if not examples.in_memory:
            yield from examples.batches(size)
            return
        order = np.random.default_rng((self.seed, self._epoch)).permutation(
            len(examples)
        )
        for start in range(0, len(order), size):
            yield examples.whole[order[start : start + size]]

    def _prepared(self, batch):
        inputs, outputs = self._structures
        weights = self._weigh(batch) if self._weigh else batch.weights
        if self._whole:
            chosen = fill_up(np.arange(len(batch)), self.batch_size)
            batch = batch[chosen]
            weights = weights and [None if w is None else w[chosen] for w in weights]
        arrays, targets = batch.inputs, batch.targets
        if self._augment is not None:
            arrays = [augmented_images(self._augment, arrays[0], None)]
        if self._teacher is not None:
            found = outputs_of(self._teacher, arrays)
            targets = [np.asarray(x, "float32") for x in found]
        packed = [
            keras.tree.pack_sequence_as(inputs, arrays),
            keras.tree.pack_sequence_as(outputs, targets),
        ]
        if weights is not None:
            packed.append(keras.tree.pack_sequence_as(outputs, weights))
        return as_tuples(packed)
