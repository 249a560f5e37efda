"""Means and covariances of the outputs of a model's layers."""

import dataclasses
import zipfile
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.relevance.encoder_fingerprint import encoder_fingerprint
from keras_basisprune.linalg import Moments
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.types import Path

_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class OutputStatistics:
    """Means and covariances of layers' outputs, of any number of samples.

    They are sums, so those of two parts of the data add up: `one + other`. All numbers
    are float64, and up to their rounding (1e-12 or so) it makes no difference how
    samples were divided, nor in which order parts are added. Size is the sum of
    `cout^2` over the layers, for any number of samples.

    Attributes:
        model: String, a checksum of the model's architecture and weights.
        count: Integer, the number of samples.
        moments: Dict from the names of layers to `linalg.Moments` of their outputs.
    """

    model: str
    count: int
    moments: dict[str, Moments]

    def __add__(self, other: "OutputStatistics") -> "OutputStatistics":
        if not isinstance(other, OutputStatistics):
            return NotImplemented
        for what, one, two in (
            ("model", self.model, other.model),
            ("layers", [*self.moments], [*other.moments]),
        ):
            if one != two:
                raise ValueError(
                    f"Expected statistics of the same {what}. Received: `other` of "
                    f"others, {shortened([str(two)])}. Compute both by the same call."
                )
        merged = {}
        for name, own in self.moments.items():
            merged[name] = Moments.of_arrays(own.arrays())
            merged[name].merge(other.moments[name])
        return OutputStatistics(self.model, self.count + other.count, merged)

    def __repr__(self):
        return (
            f"OutputStatistics of {self.count:,} samples in {len(self.moments)} layers"
        )

    def mean(self, layer: str) -> np.ndarray:
        """Returns the mean outputs of a layer, an array of shape `(cout,)`."""
        return self._of(layer).mean

    def covariance(self, layer: str) -> np.ndarray:
        """Returns the covariance of a layer's outputs, of shape `(cout, cout)`."""
        return self._of(layer).covariance

    def save(self, path: Path) -> None:
        """Writes an `.npz` file, complete or not at all.

        Raises:
            ValueError: If `path` does not end with `.npz`, or can't be written.
        """
        path = check_path("path", path, "file")
        if path.suffix != ".npz":
            raise ValueError(
                f"Expected `path` to end with .npz. Received: path={str(path)!r}. Pass "
                "'statistics.npz', say."
            )
        arrays: dict[str, Any] = {
            f"{number}/{part}": array
            for number, found in enumerate(self.moments.values())
            for part, array in found.arrays().items()
        }
        arrays |= {"names": np.array([*self.moments]), "model": np.array(self.model)}
        with staged(path) as stage:
            np.savez(stage, count=np.array(self.count), **arrays)

    @staticmethod
    def load(path: Path) -> "OutputStatistics":
        """Reads what `save` wrote.

        Raises:
            ValueError: If the file can't be read, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            moments = {}
            for number, name in enumerate(arrays["names"].tolist()):
                parts = {
                    key.partition("/")[2]: array
                    for key, array in arrays.items()
                    if key.partition("/")[0] == str(number)
                }
                moments[name] = Moments.of_arrays(parts)
            return OutputStatistics(str(arrays["model"]), int(arrays["count"]), moments)
        except (*_DAMAGE, TypeError, AttributeError) as error:
            raise ValueError(
                "Expected `path` to be a file that `OutputStatistics.save` wrote. "
                f"Received: path={str(path)!r} ({type(error).__name__}: {error}). "
                "Compute the statistics again."
            ) from error

    def check(self, model: keras.Model, layers: Iterable[str]) -> None:
        """Raises `ValueError` unless these are statistics of layers of a model.

        Args:
            model: A `keras.Model`.
            layers: Names of the layers that are to be decomposed.
        """
        if encoder_fingerprint(model) != self.model:
            raise ValueError(
                "Expected `data` to be statistics of `model`. Received: those of a "
                "model with other layers or weights. Compute them again."
            )
        missing = [name for name in layers if name not in self.moments]
        if missing:
            raise ValueError(
                "Expected `data` to be statistics of all layers to decompose. "
                f"Received: none of {shortened(map(repr, missing))}. Pass the same "
                "`include` and `exclude` to both."
            )

    def _of(self, layer) -> Moments:
        check_kind("layer", layer, str, "Pass a layer's name.")
        if layer not in self.moments:
            raise ValueError(
                f"Expected `layer` to be one of [{shortened(map(repr, self.moments))}]."
                f" Received: layer={layer!r}. Pass one of these names."
            )
        return self.moments[layer]
