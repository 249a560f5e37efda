"""Models from files, or one line on why not."""

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
        ValueError: If it is no such file, is damaged, or needs code that is not known.
    """
    path = pathlib.Path(name)
    _check(path)
    try:
        model = keras.models.load_model(path)
    except MemoryError:
        raise
    except Exception as error:  # of a dozen classes, for damaged files
        raise _refusal(path, _reason(path, error)) from error
    if not isinstance(model, keras.Model):
        raise _refusal(path, f"which holds a {type(model).__name__}. Save a model.")
    return model


def _check(path):
    if path.is_dir():
        reason = "a folder. Keras 3 loads no SavedModels: pass the .keras file."
    elif not path.is_file():
        reason = "where there is no file."
    elif path.suffix == ".tflite":
        reason = (
            "a LiteRT file, whose layers are merged and can't be read. Pass the .keras "
            "file that it was made of; measure takes both."
        )
    elif path.suffix not in _KERAS:
        reason = f"which is none by its name. Such files end with {', '.join(_KERAS)}."
    elif path.suffix == ".keras" and not zipfile.is_zipfile(path):
        reason = f"which is damaged, or no .keras file: {_size(path)}. Save it again."
    else:
        return
    raise _refusal(path, reason)


def _size(path) -> str:
    size = path.stat().st_size
    return f"{size:,} bytes that are no zip archive" if size else "it is empty"


def _reason(path, error) -> str:
    """Why a file could not be loaded, and what to do."""
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
        return f"which is damaged ({damaged}). Save it again, or copy it anew."
    return (
        f"which failed with {type(error).__name__}: {text[:500]} Load it in Python by "
        "keras.models.load_model, and save it again."
    )


def _damaged(path) -> str | None:
    """What is wrong with a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            missing = {"config.json", "metadata.json", "model.weights.h5"} - names
            bad = archive.testzip()
    except Exception as error:  # zipfile has as many as Keras
        return f"{type(error).__name__}: {error}"
    if bad:
        return f"the checksum of {bad} is wrong"
    return f"without {', '.join(sorted(missing))}" if missing else None


def _refusal(path, reason) -> ValueError:
    return ValueError(
        f"Expected --model to be a file that Keras can load. Received: {path}, {reason}"
    )
