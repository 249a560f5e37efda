"""A task, as a difference to a base network."""

import dataclasses
import functools
import json
import os
import types
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_basisprune.graph.trace import check_model
from keras_basisprune.methods.diff_pruning import _in_place
from keras_basisprune.methods.diff_pruning._compared import compared
from keras_basisprune.methods.diff_pruning._copied import copied
from keras_basisprune.methods.diff_pruning._delta_file import read_delta, write_delta
from keras_basisprune.methods.diff_pruning._delta_sites import DeltaSites
from keras_basisprune.methods.diff_pruning.delta_overlap import DeltaOverlap
from keras_basisprune.methods.diff_pruning.weight_change import WeightChange
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.shown import shown

_PARTS = ("changes", "head")
_OTHERS = ("fingerprint", "base_size", "weight_count", "head_layers", "metadata")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TaskDelta:
    """All in which a network for one task differs from its base; a frozen value.

    It holds the new values themselves, not differences: `w + (v - w)` is not always
    `v` in floating point. So the network it makes of the base has every bit of the one
    that was trained, and removing it restores every bit of the base.

    Deltas can be compared with `==`, hashed, copied and pickled; `overlap` measures
    what two have in common.

    Attributes:
        changes: Tuple of `WeightChange`s of the base: sparse ones, and whole weights
            such as BatchNormalization's statistics.
        head: Tuple of `WeightChange`s of the head, whole.
        fingerprint: SHA-256 of the base's weights without the head.
        base_size: Number of all numbers in the base's weights, without the head.
        weight_count: Number of the model's weights (`keras.Variable`s), with the head.
        head_layers: Tuple of the configs of the head's layers, `None` for one that
            Keras can't write; for bases whose head has other classes.
        metadata: Dict of what JSON can hold: how the delta was made, and what you add.

    Raises:
        ValueError: If a part is not what it should be.

    Example:

    >>> delta = keras_basisprune.methods.diff_pruning(model, (x, y), share=0.005)
    >>> delta.save("task.npz")
    >>> model = keras_basisprune.TaskDelta.load("task.npz").apply(base)
    """

    changes: tuple[WeightChange, ...]
    head: tuple[WeightChange, ...]
    fingerprint: str
    base_size: int
    weight_count: int
    head_layers: tuple = ()
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name in _PARTS:
            found = tuple(getattr(self, name))
            for change in found:
                check_kind(name, change, WeightChange, "Pass a tuple of these.")
            object.__setattr__(self, name, found)
        limits = self.weight_count - len(self.head), self.weight_count
        for name, limit in zip(_PARTS, limits, strict=True):
            places = [change.place for change in getattr(self, name)]
            rising = all(a < b for a, b in zip(places, places[1:], strict=False))
            if not rising or not all(0 <= place < limit for place in places):
                raise ValueError(
                    f"Expected `{name}` to be of ascending weights in [0, {limit}). "
                    f"Received: places {places[:20]}. Load the delta again."
                )
        layers = _plain("head_layers", list(self.head_layers))
        object.__setattr__(self, "head_layers", tuple(layers))
        frozen = types.MappingProxyType(_plain("metadata", dict(self.metadata)))
        object.__setattr__(self, "metadata", frozen)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an `.npz` file (no pickle), complete or not at all.

        It has 6 to 8 bytes per changed weight, in most cases.

        Raises:
            ValueError: If `path` can't be written to, or JSON can't hold the metadata.
        """
        others = {name: getattr(self, name) for name in _OTHERS}
        others["metadata"] = dict(self.metadata)
        write_delta(path, {part: getattr(self, part) for part in _PARTS}, others)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TaskDelta":
        """Reads what `save` wrote.

        Raises:
            ValueError: If there is no such file, or it is damaged or of another kind.
        """
        return read_delta(path, lambda parts, others: cls(**parts, **others))

    @classmethod
    def between(
        cls,
        base: keras.Model,
        tuned: keras.Model,
        *,
        head: str | Sequence[str] | None = None,
    ) -> "TaskDelta":
        """Finds in what a network that was trained elsewhere differs from its base.

        Weights that are the same to the bit are left out, however many that are.

        Args:
            base: The `keras.Model` before, with any head or without one.
            tuned: The same network after training.
            head: Name or names of the layers of its head. Defaults to the last layer
                with weights.

        Returns:
            A `TaskDelta`.

        Raises:
            ValueError: If the two don't have the same weights.
        """
        check_model("base", base, readable=False)
        check_model("tuned", tuned, readable=False)
        return cls(**compared(base, tuned, head))

    def apply(self, base: keras.Model) -> keras.Model:
        """Makes the network of the task; the base is not changed.

        `base` has the head that it had when the task was learned, with any weights; or
        a head for another number of classes, which is replaced (in a Functional or
        Sequential model); or none, if it is the trunk alone: then the result is the
        trunk of the task. Time and memory are those of a copy.

        Args:
            base: A built `keras.Model` of any kind, whose weights are those that the
                delta was learned on.

        Returns:
            A `keras.Model` of the same kind, not compiled.

        Raises:
            ValueError: If the base is another one, or can't be copied.
        """
        check_model("base", base, readable=False)
        sites = DeltaSites("base", base, self)
        sites.check_base()
        new = copied(base, sites.new_head())
        sites = DeltaSites("base", new, self)
        sites.check_head()
        sites.scatter().write()
        return new

    def apply_in_place(self, model: keras.Model, *, check: bool = True) -> None:
        """Writes the delta into a network, until `remove`.

        What stood there is remembered, for `remove`. Only weights that change are
        written; with `check`, all weights of the base are read once before. They are
        kept ready for the next time, whole (on TensorFlow and JAX): in memory, as much
        as these weights of the network for each delta, but at most 1 GiB in all.

        Models that share the trunk's layers, each with a head of its own, can have
        their tasks in turns.

        Args:
            model: A built `keras.Model` as in `apply`; its head has the shapes of the
                delta's, or is missing.
            check: Whether to read all weights, to see if the base is the right one.
                Without it, a delta that this model had before is written at once; the
                base must not have changed since.

        Raises:
            ValueError: If the base is another one, its head has other shapes, or it has
                a delta already. Nothing is written then.
        """
        check_model("model", model, readable=False)
        _in_place.write(self, model, check)

    def remove(self, model: keras.Model) -> None:
        """Restores a network to what it was before `apply_in_place`, to the bit.

        Args:
            model: The `keras.Model` that has this delta.

        Raises:
            ValueError: If it hasn't.
        """
        check_model("model", model, readable=False)
        _in_place.restore(self, model)

    def overlap(self, other: "TaskDelta") -> DeltaOverlap:
        """Counts the weights that two tasks of one base both change.

        Args:
            other: Another `TaskDelta` of the same base.

        Returns:
            A `DeltaOverlap`.

        Raises:
            ValueError: If it is of another base.
        """
        check_kind("other", other, TaskDelta, "Pass the delta of another task.")
        if other.fingerprint != self.fingerprint:
            raise ValueError(
                f"Expected `other` to be of the same base, {self.fingerprint[:12]}.... "
                f"Received: one of {other.fingerprint[:12]}.... Compare deltas that "
                "were learned on the same weights."
            )
        return DeltaOverlap.of(self, other)

    @functools.cached_property
    def changed(self) -> int:
        """Number of single weights of the base that differ, at chosen positions."""
        return sum(c.values.size for c in self.changes if c.positions is not None)

    @property
    def whole(self) -> int:
        """Number of numbers of the base's weights that are stored whole."""
        return sum(c.values.size for c in self.changes if c.positions is None)

    @property
    def share(self) -> float:
        """`changed`, as a share of the base without the head."""
        return self.changed / max(1, self.base_size)

    @property
    def nbytes(self) -> int:
        """Bytes of all values and positions in memory; the file is smaller."""
        changes = (*self.changes, *self.head)
        arrays = [a for c in changes for a in (c.values, c.positions) if a is not None]
        return sum(array.nbytes for array in arrays)

    def __repr__(self):
        head = sum(change.values.size for change in self.head)
        return (
            f"TaskDelta({self.changed:,} of {self.base_size:,} weights "
            f"({self.share:.2%}), {self.whole:,} whole, head {head:,}, "
            f"base {self.fingerprint[:12]})"
        )

    def __eq__(self, other):
        if not isinstance(other, TaskDelta):
            return NotImplemented
        names = (*_PARTS, *_OTHERS)
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self):
        return self._hash

    @functools.cached_property
    def _hash(self):
        return hash((self.fingerprint, self.changes, self.head))

    def __reduce__(self):
        fields = [getattr(self, field.name) for field in dataclasses.fields(self)]
        return TaskDelta, (*fields[:-1], dict(self.metadata))


def _plain(name, value):
    """Returns what JSON makes of a value, so that files hold exactly that."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected `{name}` to be what JSON can hold. Received: {shown(value)}, "
            f"which failed with {type(error).__name__}: {error}. Pass texts, numbers, "
            "lists and dicts."
        ) from error
