"""Trains a network of a search, as far as there is time."""

import dataclasses

import keras

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.search.retrain import retrain
from keras_basisprune.surgery import fold


class OutOfTime(Exception):
    """There is no time left for another network."""


class Shortened(Exception):
    """A training was shortened; holds the network and what `retrain` returned."""


def make_trained(task, folder, progress, name, network, number, past) -> keras.Model:
    """Trains a copy of a network, and lets the folder remember how it went.

    Args:
        task: A `Task`.
        folder: A `RunFolder`.
        progress: A `Progress`, which shows the training.
        name: String, by which the folder knows the training.
        network: A function that returns the network.
        number: Integer, the round.
        past: Integer, the epochs of all trainings before.

    Returns:
        The trained `keras.Model`, folded except for BatchNormalization.

    Raises:
        OutOfTime: If no time is left to train.
        Shortened: If the time was too short for all epochs; the folder remembers
            nothing then.
    """
    wanted, expected = task.recovery.epochs, progress.expected_training
    epochs = task.deadline.epochs(wanted, expected)
    if not epochs:
        raise OutOfTime
    # A copy in both cases: the cut network may still be needed unchanged.
    if task.recovery.weights == "all":
        trained = fold(network(), batch_norm=False)
    else:
        trained = flatten(network())
    made = retrain(
        trained,
        task.model if task.distill else None,
        (task.train, task.validation),
        dataclasses.replace(task.recovery, epochs=epochs),
        task.supervision,
        (*task.callbacks, *progress.train(), *task.deadline.stop_training()),
        number,
        past,
    )
    trained = fold(trained, batch_norm=False)
    if epochs < wanted or task.deadline.left() <= 0:
        raise Shortened(trained, made)
    folder.remember(f"{name} training", made)
    return trained
