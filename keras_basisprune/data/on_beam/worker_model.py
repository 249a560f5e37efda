"""A model that workers load from a file that all of them can read."""

import importlib
import pathlib

import keras

from keras_basisprune.utils.files import save_model


class WorkerModel:
    """A model in a folder that all workers share; can be pickled.

    Args:
        model: A `keras.Model`.
        folder: The `pathlib.Path` of the folder.
        imports: Names of modules that workers import before they load it.
        name: Name of the file, without `.keras`.

    Raises:
        ValueError: If `imports` can't be imported, or the file can't be loaded again.
    """

    def __init__(self, model, folder, imports=(), name="model"):
        self._path, self._imports = str(folder / f"{name}.keras"), tuple(imports)
        self._check_imports()
        save_model(model, self._path)
        try:
            self.load()
        except Exception as error:  # whatever Keras or a custom layer raises
            pathlib.Path(self._path).unlink()
            raise ValueError(
                "Expected `model` to be one that workers can load from a file. "
                f"Received: {model.name!r} ({type(error).__name__}: "
                f"{str(error)[:300]}). Register its classes and functions "
                "(`keras.saving.register_keras_serializable`) in a module that you "
                "name in `imports`."
            ) from error

    def load(self):
        """Returns the model, not compiled."""
        for name in self._imports:
            importlib.import_module(name)
        return keras.models.load_model(self._path, compile=False)

    def _check_imports(self):
        for name in self._imports:
            try:
                importlib.import_module(name)
            except Exception as error:
                raise ValueError(
                    "Expected `imports` to name modules that can be imported. "
                    f"Received: {name!r} ({type(error).__name__}: {error}). Add its "
                    "folder to PYTHONPATH, here and where workers run."
                ) from error
