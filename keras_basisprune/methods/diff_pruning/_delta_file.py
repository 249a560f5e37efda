"""The file of a `TaskDelta`: an `.npz` of a few long arrays."""

import json
import pathlib
import zipfile

import numpy as np
from keras import ops

from keras_basisprune.methods.diff_pruning.weight_change import WeightChange
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged

_FORMAT, _VERSION = "keras_basisprune.TaskDelta", 1


def write_delta(path, changes, others):
    """Writes a file, complete or not at all.

    Args:
        path: Path of the file.
        changes: Dict of lists of `WeightChange`s.
        others: Dict of all that is no array, for JSON.
    """
    positions, values, rows = [], {}, {}
    for part, found in changes.items():
        rows[part] = []
        for change in found:
            dtype, sparse = change.values.dtype.name, change.positions is not None
            row = [change.path, change.place, change.shape, dtype]
            rows[part].append([*row, len(change.positions) if sparse else None])
            if sparse:
                positions.append(change.positions)
            values.setdefault(dtype, []).append(change.values.reshape(-1))
    header = {"format": _FORMAT, "version": _VERSION, "changes": rows, **others}
    text = json.dumps(header, sort_keys=True).encode()
    arrays = {"header": np.frombuffer(text, np.uint8)}
    arrays["positions"] = _narrow(np.concatenate([np.zeros(0, np.int64), *positions]))
    for dtype, pieces in values.items():
        arrays[f"values_{dtype}"] = _storable(np.concatenate(pieces))
    with staged(check_path("path", path, "file")) as stage:
        with open(stage, "wb") as file:  # NumPy would append `.npz` to a path
            np.savez_compressed(file, **arrays)


def read_delta(path, make):
    """Reads what `write_delta` wrote.

    Args:
        path: Path of the file.
        make: A function of both dicts, whose result is returned.

    Raises:
        ValueError: If there is no such file, or it is damaged or of another kind.
    """
    path = check_path("path", path)
    if not path.is_file():
        _refuse(path, "where there is no file")
    try:
        with zipfile.ZipFile(path) as archive:
            if (bad := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {bad} is wrong")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return make(*_read(arrays))
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive raises a dozen classes
        text = " ".join(str(error).split())[:300]
        _refuse(path, f"which failed with {type(error).__name__}: {text}", error)


def _read(arrays):
    header = json.loads(arrays["header"].tobytes())
    if header.pop("format") != _FORMAT or header.pop("version") != _VERSION:
        raise ValueError(f"it is no {_FORMAT} of version {_VERSION}")
    positions, changes = arrays["positions"], {}
    if positions.dtype.kind not in "iu" or positions.ndim != 1:
        raise ValueError(f"its positions are of dtype {positions.dtype}")
    places, starts = 0, dict.fromkeys(arrays, 0)
    for part, rows in header.pop("changes").items():
        changes[part] = []
        for name, place, shape, dtype, count in rows:
            size, chosen = int(np.prod(shape)) if count is None else count, None
            if count is not None:
                chosen = positions[places : places + count].astype(np.int64)
                places += count
            key = f"values_{dtype}"
            first = starts[key]
            found = _restored(arrays[key][first : first + size], dtype)
            starts[key] += size
            found = found.reshape(shape) if count is None else found
            changes[part].append(WeightChange(name, place, tuple(shape), found, chosen))
    used = {"positions": places, **{k: n for k, n in starts.items() if n}}
    long = {k: len(array) for k, array in arrays.items() if k != "header"}
    if used != long:
        raise ValueError(f"it holds arrays of {long} numbers, where {used} belong")
    return changes, header


def _narrow(positions):
    fits = positions.max(initial=0) < 2**32
    return positions.astype(np.uint32 if fits else np.int64)


def _storable(values):
    """Numbers of a dtype that NumPy's files don't know become integers."""
    if values.dtype.isbuiltin == 1:
        return values
    return values.view(f"u{values.dtype.itemsize}")


def _restored(values, dtype):
    if values.dtype.name == dtype:
        return values
    wanted = ops.convert_to_numpy(ops.zeros((0,), dtype)).dtype
    if values.dtype.kind != "u" or values.dtype.itemsize != wanted.itemsize:
        raise ValueError(f"its values are of dtype {values.dtype}, not {dtype}")
    return values.view(wanted)


def _refuse(path: pathlib.Path, reason, error=None):
    raise ValueError(
        "Expected `path` to be a file written by `TaskDelta.save`. Received: "
        f"{str(path)!r}, {reason}. Save or copy the delta again."
    ) from error
