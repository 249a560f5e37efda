"""Trains a network that was cut."""

import dataclasses
import time

import keras

from keras_basisprune.training.fit_recovered import check_trainable, fit_recovered


def retrain(network, original, data, recovery, losses, callbacks, number, past) -> dict:
    """Trains a network that was cut.

    Args:
        network: The `keras.Model`, trained in place.
        original: The model whose outputs it is trained towards; `None` for labels.
        data: Two `ArrayExamples` or `StreamExamples`: for training, and for validation,
            which is used only with `recovery.keep_best`.
        recovery: A `Recovery`.
        losses: `OutputLosses`.
        callbacks: Keras callbacks; their logs hold the number of the round.
        number: Integer, the round.
        past: Integer, the epochs of earlier rounds; epochs are counted from there.

    Returns:
        A dict of `"history"` (lists by name) and `"seconds"`.
    """
    start = time.perf_counter()
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: logs.update(round=number)
    )
    # A search judges networks before and after training by itself.
    given = {"keep_best": bool(recovery.keep_best), "warmup": recovery.warmup or 0.0}
    config = dataclasses.replace(recovery, initial_epoch=past, **given)
    train, validation = data
    check_trainable(network, config.weights)
    history = fit_recovered(
        network,
        train,
        validation if config.keep_best else None,
        original,
        config,
        losses,
        [told, *callbacks],
        verbose=0,
    ).history
    history = {key: [float(v) for v in values] for key, values in history.items()}
    return {"history": history, "seconds": time.perf_counter() - start}
