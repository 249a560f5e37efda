"""Plain training of a classifier: Adam with a cosine schedule, on labels."""

import keras

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.graph.running import fit
from keras_basisprune.training.quick_statistics import quick_statistics


def fit_classifier(
    model,
    train,
    validation=None,
    *,
    epochs,
    learning_rate,
    batch_size=32,
    momentum=0.9,
    callbacks=(),
    verbose=0,
) -> keras.callbacks.History:
    """Compiles and trains a classifier in place, on labels.

    All trainable weights train, with the regularization of their layers. Callers have
    checked model and data.

    Args:
        model: A classifier with softmax outputs.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        epochs: Number of epochs.
        learning_rate: Initial rate of Adam; it falls to zero by a cosine.
        batch_size: Samples per training step, for models that don't fix it.
        momentum: Highest momentum of BatchNormalization's moving statistics while the
            model trains.
        callbacks: A list of Keras callbacks; or a function of the number of training
            steps that returns one.
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.
    """
    fixed = fixed_batch(model)
    batch_size = fixed or batch_size
    train = [fill_up(array, fixed) for array in train]
    if validation is not None:
        validation = tuple(fill_up(array, fixed) for array in validation)
    steps = epochs * -(-len(train[0]) // batch_size)
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(decay),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    if callable(callbacks):
        callbacks = callbacks(steps)
    with quick_statistics(model, momentum):
        return fit(
            model,
            *train,
            validation_data=validation,
            epochs=epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            verbose=verbose,
        )
