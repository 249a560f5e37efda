"""One training of a network that was cut."""

import dataclasses
import time

import keras

from keras_basisprune.training.fit_recovered import check_trainable, fit_recovered


def train_again(network, original, data, recovery, callbacks, number, past) -> dict:
    """Trains a network, so that it makes up for what was cut.

    Args:
        network: The `keras.Model`, trained in place.
        original: What it is trained towards, or `None` for labels.
        data: Two pairs `(x, y)` of arrays that have been checked: for training, and for
            validation, which is only looked at if the best epoch is to be kept.
        recovery: A `Recovery`.
        callbacks: Keras callbacks; they see the number of the round in the logs.
        number: Integer, the round.
        past: Integer, the epochs of earlier rounds; epochs are counted from there.

    Returns:
        A dict of `"history"` (lists by name) and `"seconds"`.
    """
    start = time.perf_counter()
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: logs.update(round=number)
    )
    config = dataclasses.replace(recovery, initial_epoch=past)
    train, validation = data
    check_trainable(network, config.weights)
    history = fit_recovered(
        network,
        train,
        validation if config.keep_best else None,
        original,
        config,
        [told, *callbacks],
        verbose=0,
    ).history
    history = {key: [float(v) for v in values] for key, values in history.items()}
    return {"history": history, "seconds": time.perf_counter() - start}
