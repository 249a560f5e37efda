"""Training of a `tf_keras` model, by labels or towards the model that it came from."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot.to_tf_keras import to_tf_keras
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.check_labels import check_labels
from keras_basisprune.graph.output_kinds import output_kinds
from keras_basisprune.graph.run_examples import outputs_of
from keras_basisprune.graph.trace import check_model
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole

_MOMENTUM = 0.9


@dataclasses.dataclass
class FineTuning:
    """A training of what TensorFlow Model Optimization makes of a model.

    Attributes:
        model: The Keras 3 model, which is not changed.
        examples: What it is trained on.
        outputs: The model's `Output`s.
        epochs: Number of epochs.
        learning_rate: Rate of Adam in the first step; it falls to zero by a cosine.
        batch_size: Samples per step.
        seed: Integer that determines the order.
        verbose: As in `fit`.
    """

    model: keras.Model
    examples: Any
    outputs: tuple
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    verbose: Any

    @property
    def steps(self) -> int:
        """Number of steps of an epoch; the last samples that fill no batch are left."""
        return max(1, len(self.examples) // self.batch_size)

    def crossed(self):
        """Returns the `tf_keras` model, with a flat list of inputs and outputs.

        Moving statistics of BatchNormalization follow faster than with the momentum of
        most networks, because the weights change at once.
        """
        crossed = to_tf_keras(self.model)
        for layer in crossed.layers:
            if isinstance(layer, load_tf_keras().layers.BatchNormalization):
                layer.momentum = min(layer.momentum, _MOMENTUM)
        flat = [x[0] if len(x) == 1 else x for x in (crossed.inputs, crossed.outputs)]
        return load_tf_keras().Model(*flat, name=crossed.name)

    def fit(self, model, callbacks=()):
        """Trains a model with the inputs and outputs of `crossed`, in place."""
        tf_keras = load_tf_keras()
        steps = self.steps * self.epochs
        rate = tf_keras.optimizers.schedules.CosineDecay(self.learning_rate, steps)
        model.compile(
            tf_keras.optimizers.Adam(rate),
            [_loss(output, not self.examples.labelled) for output in self.outputs],
        )
        verbose = self.verbose
        model.fit(
            self._batches(),
            steps_per_epoch=self.steps,
            epochs=self.epochs,
            callbacks=list(callbacks),
            verbose=1 if verbose == "auto" else int(verbose),
        )

    def _batches(self):
        """Yields batches for ever, those of arrays in another order in each epoch."""
        rng = np.random.default_rng(self.seed)
        while True:
            examples = self.examples
            if examples.in_memory:
                examples = examples.part(rng.permutation(len(examples)))
            for batch in examples.batches(self.batch_size):
                if len(batch) == self.batch_size or len(examples) < self.batch_size:
                    yield self._arrays(batch)

    def _arrays(self, batch):
        targets = batch.targets
        if not self.examples.labelled:
            targets = outputs_of(self.model, batch.inputs)
        parts = [batch.inputs, targets]
        if batch.weights is not None:
            parts.append(batch.weights)
        return tuple(x[0] if len(x) == 1 else tuple(x) for x in parts)


def fine_tuning(model, train, *, epochs, learning_rate, batch_size, seed, verbose):
    """Checks the arguments of a training and returns it.

    Raises:
        ValueError: If one is out of its range, or model and data do not fit.
    """
    check_model("model", model)
    check_finite_weights(model)
    epochs = check_whole("epochs", epochs)
    remedy = "Start with 1e-4."
    learning_rate = check_number("learning_rate", learning_rate, "(0, inf)", "", remedy)
    batch_size = check_whole("batch_size", batch_size)
    seed = check_whole("seed", seed, 0)
    check_verbose(verbose)
    examples = read_examples("train", model, train, "optional", seed=seed)
    outputs = output_kinds(model, examples.first)
    if examples.labelled:
        check_labels("train", examples, outputs)
    return FineTuning(
        model=model,
        examples=examples,
        outputs=outputs,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=fixed_batch(model) or batch_size,
        seed=seed,
        verbose=verbose,
    )


def _loss(output, distilled):
    """Returns a loss of `tf_keras` for one output."""
    import tensorflow as tf

    losses = load_tf_keras().losses
    logits = output.logits is not False

    def towards_classes(wanted, found):
        if logits:
            wanted, found = tf.nn.softmax(wanted), tf.nn.softmax(found)
        return losses.kl_divergence(wanted, found)

    def towards_answers(wanted, found):
        wanted = tf.sigmoid(wanted) if logits else wanted
        return losses.binary_crossentropy(wanted, found, from_logits=logits)

    def classes(wanted, found):
        if (
            len(wanted.shape) == len(found.shape)
            and wanted.shape[-1] == found.shape[-1]
        ):
            return losses.categorical_crossentropy(wanted, found, from_logits=logits)
        return losses.sparse_categorical_crossentropy(wanted, found, from_logits=logits)

    def answers(wanted, found):
        return losses.binary_crossentropy(wanted, found, from_logits=logits)

    def directions(wanted, found):
        return losses.cosine_similarity(wanted, found)

    if output.kind == "directions":
        return directions
    if output.kind == "classes":
        return towards_classes if distilled else classes
    if output.kind == "binary":
        return towards_answers if distilled else answers
    return losses.mean_squared_error
