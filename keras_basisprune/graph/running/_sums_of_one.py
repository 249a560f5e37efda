"""Training on one device, of which nothing remains in memory."""

import contextlib

import keras


@contextlib.contextmanager
def sums_of_one(model):
    """Has the optimizer of a model leave out sums over devices where there is one.

    On TensorFlow, Keras sums gradients over the devices by an operation with a gradient
    of its own, which TensorFlow registers forever, with the graph of the training step
    and thus the weights and their momenta: each trained network would stay in memory
    until the process ends. Nothing else changes: a sum over one device is the gradient.

    Args:
        model: A compiled `keras.Model`.
    """
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of mixed precision
    strategy = getattr(optimizer, "_distribution_strategy", None)
    name = "_all_reduce_sum_gradients"
    if (
        keras.backend.backend() != "tensorflow"
        or getattr(strategy, "num_replicas_in_sync", 2) != 1
        or not hasattr(optimizer, name)
        or name in vars(optimizer)
    ):
        yield
        return
    setattr(optimizer, name, list)
    try:
        yield
    finally:
        delattr(optimizer, name)
