"""Networks that were trained leave memory, and are those of `keras.Model.fit`."""

import gc

import keras
import numpy as np
import pytest

from keras_basisprune.graph.running import fit

X = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 3)).astype("float32")
NAME = "_all_reduce_sum_gradients"
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9, clipnorm=0.1),
    "mixed precision": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam()
    ),
}


def network(optimizer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    model.compile(optimizer(), "mse")
    return model


def graphs() -> int:
    gc.collect()
    return sum(type(one).__name__ == "FuncGraph" for one in gc.get_objects())


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_trained_networks_leave_memory_and_are_those_of_keras(optimizer):
    keras_model = network(optimizer)
    keras_model.fit(X, Y, epochs=3, verbose=0)
    wanted = keras_model.get_weights()
    del keras_model
    before = graphs()
    for _ in range(3):
        model = network(optimizer)
        history = fit(model, X, Y, epochs=3, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]
        for one, other in zip(model.get_weights(), wanted, strict=True):
            np.testing.assert_array_equal(one, other)
        inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        assert NAME not in vars(inner)
        del model, history, inner
    assert graphs() <= before


def test_the_optimizer_is_put_back_when_training_fails():
    model = network(keras.optimizers.Adam)

    def fail(epoch, logs):
        raise RuntimeError("no more")

    callback = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(RuntimeError, match="no more"):
        fit(model, X, Y, verbose=0, callbacks=[callback])
    assert NAME not in vars(model.optimizer)
