"""Features in files, so that memory does not grow with a source."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib

import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.relevance.encoder_fingerprint import encoder_fingerprint
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_VALUES, _NAMES = "features.npy", "names.json"


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
    """Features of all samples of a stream.

    Attributes:
        values: float32 array of shape `(n, features)`, mapped from a file.
        names: Tuple of str, names of the samples; empty where they have none.
        skipped: Tuple of str, what could not be read.
    """

    values: np.ndarray
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class FeatureStore:
    """Computes features of streams, unless they are in its folder.

    Args:
        extractor: A `FeatureExtractor`.
        encoder: Its `keras.Model`.
        folder: The `pathlib.Path` of the folder that keeps them; `None` for a temporary
            one, which `close` removes.
        settings: What the features depend on in addition, as a string.
    """

    def __init__(self, extractor, encoder, folder, settings=""):
        self._extractor, self._folder = extractor, folder
        self._temporary = None
        if folder is None:
            self._temporary = TemporaryFolder(prefix="keras_basisprune_")
        else:
            self._encoder = f"{encoder_fingerprint(encoder)} {settings}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._temporary is not None:
            with contextlib.suppress(OSError):  # files that are still mapped
                self._temporary.cleanup()

    def features(self, argument, stream, verbose) -> StoredFeatures:
        """Returns the features of a stream.

        Args:
            argument: Name of the argument that it comes from.
            stream: A stream.
            verbose: Whether to show a progress bar.

        Raises:
            ValueError: If there are no samples, or they don't fit the encoder.
        """
        key = None if self._folder is None else stream.fingerprint()
        if key is None:
            if self._temporary is None:
                self._temporary = TemporaryFolder(prefix="keras_basis")
            place = pathlib.Path(self._temporary.name) / argument
        else:
            key = hashlib.sha256(f"{self._encoder} {key}".encode()).hexdigest()[:32]
            place = self._folder / key
            with contextlib.suppress(OSError, ValueError, KeyError):
                return _load(place)
        with staged(place) as stage:
            stage.mkdir()
            self._write(argument, stream, stage, verbose)
        return _load(place)

    def _write(self, argument, stream, stage, verbose):
        skipped, names = [], []

        def pairs():
            for arrays, own in stream.read(skipped):
                names.extend(own)
                bar.update(len(arrays[0]))
                yield arrays, own

        text = f"Features of the {argument}"
        with tqdm(
            desc=text, total=stream.count, unit=" images", disable=not verbose
        ) as bar:
            count = write_rows(stage / _VALUES, self._extractor(pairs()))
            bar.total = bar.n
        if not count:
            first = f", for example {skipped[0]}" if skipped else ""
            raise ValueError(
                f"Expected `{argument}` to hold at least one image. Received: "
                f"{len(skipped)} that can't be read{first}. Check the data."
            )
        fields = json.dumps({"names": names, "skipped": skipped})
        (stage / _NAMES).write_text(fields, encoding="utf-8")


def write_rows(path, blocks) -> int:
    """Writes blocks of rows into one `.npy` file, one after the other.

    Args:
        path: Path of the file.
        blocks: Iterable of float32 arrays of shape `(any, features)`.

    Returns:
        The number of rows. Without any, there is no file.
    """
    count, header = 0, None
    with open(path, "wb") as file:
        for block in blocks:
            if header is None:
                header = np.lib.format.header_data_from_array_1_0(block)
                _write_header(file, header, 0)
            file.write(np.ascontiguousarray(block, np.float32).data)
            count += len(block)
        if header is not None:
            file.seek(0)
            _write_header(file, header, count)
    return count


def _write_header(file, header, count):
    """Writes a header, which has room for any number of rows."""
    shape = (count, *header["shape"][1:])
    np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})


def _load(place):
    fields = json.loads((place / _NAMES).read_text(encoding="utf-8"))
    values = np.load(place / _VALUES, mmap_mode="r")
    return StoredFeatures(values, tuple(fields["names"]), tuple(fields["skipped"]))
