"""Loads models from files, with short messages on errors."""

import pathlib
import re
import zipfile

import keras

_UNKNOWN = re.compile(
    r"(?:Could not (?:locate|deserialize) (?:class|function)|Unknown \w+:) '([^']*)'"
)
_KERAS = (".keras", ".h5", ".hdf5")


def load_model(name) -> keras.Model:
    """Loads a `.keras` or `.h5` file.

    Args:
        name: Path of the file, as given by `--model`.

    Returns:
        The `keras.Model`.

    Raises:
        ValueError: If it is not such a file, is damaged, or needs unknown code.
    """
    path = pathlib.Path(name)
    _check(path)
    try:
        model = keras.models.load_model(path)
    except MemoryError:
        raise
    except Exception as error:  # damaged files raise a dozen classes
        raise _refusal(path, _reason(path, error)) from error
    if not isinstance(model, keras.Model):
        raise _refusal(path, f"which holds a {type(model).__name__}. Save a model.")
    return model


def _check(path):
    if path.is_dir():
        reason = "a folder. Keras 3 can't load SavedModels: pass the .keras file."
    elif not path.is_file():
        reason = "where there is no file."
    elif path.suffix == ".tflite":
        reason = (
            "a LiteRT file, whose layers are merged and can't be read. Pass the .keras "
            "file that it was made from; measure accepts both."
        )
    elif path.suffix not in _KERAS:
        kinds = ", ".join(_KERAS)
        reason = f"whose name is of another kind. Such files end with {kinds}."
    elif path.suffix == ".keras" and not zipfile.is_zipfile(path):
        reason = f"which is damaged, or no .keras file: {_size(path)}. Save it again."
    else:
        return
    raise _refusal(path, reason)


def _size(path) -> str:
    size = path.stat().st_size
    return f"{size:,} bytes that are not a zip archive" if size else "it is empty"


def _reason(path, error) -> str:
    """Says why a file could not be loaded, and what to do."""
    text = " ".join(str(error).split())
    unknown = _UNKNOWN.search(text)
    if unknown:
        return (
            f"which needs {unknown[1]!r}, a class or function that Keras doesn't know. "
            "Pass --import=MODULE, the module (or .py file) that defines it."
        )
    if "Lambda" in text and "safe" in text:
        return (
            "which holds code (a Lambda layer). If you trust it, pass --import=MODULE, "
            "a module that calls keras.config.enable_unsafe_deserialization()."
        )
    if zipfile.is_zipfile(path) and (damaged := _damaged(path)):
        return f"which is damaged ({damaged}). Save or copy it again."
    return (
        f"which failed with {type(error).__name__}: {text[:500]} Load it in Python by "
        "keras.models.load_model, and save it again."
    )


def _damaged(path) -> str | None:
    """Says what is wrong with a zip archive; `None` if nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            missing = {"config.json", "metadata.json", "model.weights.h5"} - names
            bad = archive.testzip()
    except Exception as error:  # zipfile raises many classes, too
        return f"{type(error).__name__}: {error}"
    if bad:
        return f"the checksum of {bad} is wrong"
    return f"without {', '.join(sorted(missing))}" if missing else None


def _refusal(path, reason) -> ValueError:
    return ValueError(
        f"Expected --model to be a file that Keras can load. Received: {path}, {reason}"
    )
