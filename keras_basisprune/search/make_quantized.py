"""Makes a trained network of a search quantization-aware, and trains it further."""

import dataclasses
import time

import keras

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.search.make_trained import Shortened
from keras_basisprune.search.quantized_epochs import quantized_epochs
from keras_basisprune.search.retrain import retrain
from keras_basisprune.surgery import fold
from keras_basisprune.training.quantization import quantize_aware

# Rounding changes a trained network little; its training shall do so, too.
_RATE = 0.1
_WARMUP = 0.1


def make_quantized(task, folder, progress, name, trained, number, past) -> keras.Model:
    """Rounds a trained network as its int8 file does, and trains it with that.

    If no time is left for the training, the network rounds without it.

    Args:
        task: A `Task`, whose recovery has `quantize`.
        folder: A `RunFolder`.
        progress: A `Progress`, which shows the training.
        name: String, by which the folder knows the training.
        trained: The trained `keras.Model`, which is not changed.
        number: Integer, the round.
        past: Integer, the epochs of all trainings before.

    Returns:
        The quantization-aware `keras.Model`; the network, folded, if it can't round
        (its values may be infinite).

    Raises:
        Shortened: If the time was too short for all epochs; the folder remembers
            nothing then.
    """
    start, made = time.perf_counter(), {"history": {}, "seconds": 0.0}
    try:
        network = quantize_aware(trained, task.images, verbose=0)
    except ValueError:
        folder.remember(f"{name} training", made)
        return fold(trained)
    recovery, wanted = task.recovery, quantized_epochs(task.recovery)
    share = wanted / (wanted + recovery.epochs)
    epochs = task.deadline.epochs(wanted, share * progress.expected_training)
    if epochs:
        config = dataclasses.replace(
            recovery,
            epochs=epochs,
            learning_rate=_RATE * recovery.learning_rate,
            warmup=_WARMUP if recovery.warmup is None else recovery.warmup,
        )
        shown = progress.train(epochs, "training in int8")
        made = retrain(
            network,
            task.model if task.distill else None,
            (task.train, task.validation),
            config,
            task.supervision,
            (*task.callbacks, *shown, *task.deadline.stop_training()),
            number,
            past,
        )
        network = flatten(network)  # without the optimizer
    made["seconds"] = time.perf_counter() - start
    if epochs < wanted or task.deadline.left() <= 0:
        raise Shortened(network, made)
    folder.remember(f"{name} training", made)
    return network
