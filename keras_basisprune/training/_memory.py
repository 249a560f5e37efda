"""Saves the state of a callback, so that a killed training run can be resumed."""

import keras
import numpy as np

_ATTRIBUTE = "l1_thresholding_memory"


class Memory(keras.Operation):
    """Saves a callback's state with `keras.callbacks.BackupAndRestore`.

    That callback calls `model.save_weights()` and `model.load_weights()`, which visit
    every attribute of the model that Keras knows how to save. While a model trains,
    this object is one of them; `keras.Operation` is the smallest public class of that
    kind. It changes nothing else: it has no weights, and the model's config omits it.

    Args:
        model: The model that trains.
        state: A function without arguments that returns a dict of arrays.
        name: The attribute of the model that holds it.
    """

    def __init__(self, model, state, name=_ATTRIBUTE):
        super().__init__(name=name)
        self._state = state
        self.loaded = {}
        setattr(model, name, self)

    def save_own_variables(self, store):
        for key, value in self._state().items():
            store[key] = np.asarray(value)

    def load_own_variables(self, store):
        self.loaded = {key: np.array(store[key]) for key in store.keys()}

    def remove(self, model):
        """Removes this object from the model."""
        if getattr(model, self.name, None) is self:
            delattr(model, self.name)
