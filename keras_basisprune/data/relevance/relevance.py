"""How relevant each image of a source is for a target, and which ones are kept."""

import dataclasses
import json
import operator
import pathlib

import numpy as np

from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import write_text
from keras_basisprune.utils.types import Path

METHODS = ("clusters", "domain", "random")
_FORMAT = "keras_basisprune relevance 1"
_FIELDS = {"format", "method", "keep", "scores", "names", "skipped"}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Relevance:
    """Scores of all images of a source, and the share of them that is kept.

    Images are numbered in the order in which the source gives them; no image is stored.
    Two records are equal if all their fields are.

    Attributes:
        method: str, how scores were computed: `"clusters"`, `"domain"` or `"random"`.
        keep: float in (0, 1], the share of the images that is kept.
        scores: float64 array of shape `(n,)`, read-only; higher is more relevant.
            Distances to the nearest centre (between 0 and 2) are negative; scores of a
            classifier are log-odds.
        names: tuple of `n` str, where images have names: paths of files, relative to
            the folder; else empty.
        skipped: tuple of str, the files that could not be read, with reasons. They have
            no number and no score.

    Raises:
        ValueError: A field is not valid.

    Example:

    >>> relevance = Relevance("random", 0.5, [0.1, 0.4, 0.3, 0.2])
    >>> relevance.indices
    array([1, 2])
    >>> relevance.at(0.25).indices
    array([1])
    """

    method: str
    keep: float
    scores: np.ndarray
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self):
        check_choice("method", self.method, METHODS)
        keep = check_number("keep", self.keep, "(0, 1]", remedy="Pass 0.12, say.")
        scores = _checked_scores(self.scores)
        names = _checked_texts("names", self.names)
        if names and len(names) != len(scores):
            raise ValueError(
                "Expected `names` to hold one name per score, or none. Received: "
                f"{len(names)} names and {len(scores)} scores. Pass as many."
            )
        object.__setattr__(self, "keep", keep)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "names", names)
        skipped = _checked_texts("skipped", self.skipped)
        object.__setattr__(self, "skipped", skipped)

    @property
    def order(self) -> np.ndarray:
        """Positions of all images, best first; int64 array of shape `(n,)`.

        Images of equal scores are in the order of the source.
        """
        return np.argsort(-self.scores, kind="stable")

    @property
    def indices(self) -> np.ndarray:
        """Positions of the kept images, best first; int64 array.

        There are `keep` times as many as all, rounded, and at least one.
        """
        return self.order[: self._count()]

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the kept images, best first; empty where images have no names."""
        return tuple(self.names[i] for i in self.indices) if self.names else ()

    def at(self, keep: float) -> "Relevance":
        """Returns a record of the same scores that keeps another share."""
        return dataclasses.replace(self, keep=keep)

    def to_json(self) -> str:
        """Returns a text that `from_json` reads."""
        fields = {
            "format": _FORMAT,
            "method": self.method,
            "keep": self.keep,
            "scores": self.scores.tolist(),
            "names": self.names,
            "skipped": self.skipped,
        }
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "Relevance":
        """Returns the record that `to_json` wrote.

        Raises:
            ValueError: `text` is something else.
        """
        try:
            fields = json.loads(text)
        except (TypeError, ValueError) as error:
            raise _refusal(f"no JSON ({error})") from error
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise _refusal(f"JSON without the format {_FORMAT!r}")
        if set(fields) != _FIELDS:
            raise _refusal(f"the fields {sorted(fields)}")
        del fields["format"]
        return cls(**fields)

    def save(self, path: Path) -> None:
        """Writes a JSON file, complete or not at all."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "Relevance":
        """Reads the file that `save` wrote.

        Raises:
            ValueError: There is no such file, or it holds something else.
        """
        place = check_path("path", path)
        try:
            text = pathlib.Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                "Expected `path` to be a file that `Relevance.save` wrote. Received: "
                f"path={str(place)!r}, which can't be read ({error}). Check the path."
            ) from error
        return cls.from_json(text)

    def _count(self) -> int:
        return max(1, round(self.keep * len(self.scores)))

    def __eq__(self, other):
        if not isinstance(other, Relevance):
            return NotImplemented
        same = operator.attrgetter("method", "keep", "names", "skipped")
        return same(self) == same(other) and np.array_equal(self.scores, other.scores)

    __hash__ = None

    def __repr__(self):
        return (
            f"Relevance(method={self.method!r}, keep={self.keep:g}, "
            f"{self._count()} of {len(self.scores)} images)"
        )


def _checked_scores(scores) -> np.ndarray:
    try:
        array = np.array(scores, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(
            "Expected `scores` to be finite numbers, at least one. Received: "
            f"scores={str(scores)[:80]}. Pass an array of shape (n,)."
        )
    array.setflags(write=False)
    return array


def _checked_texts(argument, texts) -> tuple:
    if isinstance(texts, tuple | list) and all(isinstance(t, str) for t in texts):
        return tuple(texts)
    raise ValueError(
        f"Expected `{argument}` to be strings. Received: {argument}="
        f"{str(texts)[:80]}. Pass a tuple of them."
    )


def _refusal(received) -> ValueError:
    return ValueError(
        "Expected `text` to be what `Relevance.to_json` returns. Received: "
        f"{received}. Pass the text of a file that `save` wrote."
    )
