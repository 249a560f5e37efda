"""What is kept of a model: a frozen value that any method can make or carry out."""

import dataclasses
import json
import operator
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_basisprune.utils.check_whole import check_whole


@dataclasses.dataclass(frozen=True)
class Kept:
    """The kept part of one layer's bases or channels.

    Attributes:
        indices: Positions that are kept, ascending.
        total: How many there were.

    Raises:
        ValueError: If a position is not a whole number in `[0, total)`, they do not
            ascend, or there is none.
    """

    indices: tuple[int, ...]
    total: int

    def __post_init__(self):
        try:
            indices = tuple(operator.index(i) for i in self.indices)
            total = operator.index(self.total)
        except TypeError:
            indices, total = (), 0
        ascending = all(a < b for a, b in zip(indices, indices[1:], strict=False))
        if not indices or not ascending or indices[0] < 0 or indices[-1] >= total:
            raise ValueError(
                "Expected `indices` to be ascending whole numbers, at least one of "
                "them, each in [0, total). Received: "
                f"indices={self.indices}, total={self.total}. "
                "Keep at least one basis or channel per layer, out of `total`."
            )
        object.__setattr__(self, "indices", indices)
        object.__setattr__(self, "total", total)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is kept, per layer. Decided by scores and selection, carried out by `prune`.

    Attributes:
        bases: Maps names of decomposed layers to the bases `Kept`.
        channels: Maps names of layers to the output channels `Kept`.

    A layer that is not named stays as it is. Bases are counted by strength, as
    `convert` makes them at full rank; channels as the layer puts them out. A plan says
    the same wherever it is taken: what it names is kept, and what can't be done is
    refused. Plans can be compared with `==`, hashed, copied and pickled.

    Raises:
        ValueError: If a field does not map names to `Kept`s.

    Example:

    >>> plan = Plan(bases={"conv1": Kept(indices=(0, 2), total=4)})
    >>> Plan.from_json(plan.to_json()) == plan
    True
    """

    bases: Mapping[str, Kept] = dataclasses.field(default_factory=dict)
    channels: Mapping[str, Kept] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for field in ("bases", "channels"):
            frozen = types.MappingProxyType(_checked(field, getattr(self, field)))
            object.__setattr__(self, field, frozen)

    @classmethod
    def from_masks(cls, model: Any, round_to: int = 1) -> "Plan":
        """Keeps the bases and channels that are not masked.

        Args:
            model: A converted model, or one with other layers that are trained for it
                (`layers.TrainedMask`), in which a callback (or the user) set the masks.
            round_to: Kept bases (or channels) per layer are rounded up to a multiple of
                this (at most the number there is); the strongest masked ones come
                along.

        Returns:
            A `Plan`. A layer whose bases are all masked keeps one. A model without
            such layers gives an empty plan.

        Raises:
            ValueError: If `model` is no model, `round_to` not a positive integer, or
                two layers weigh the same and are masked differently.
        """
        remedy = "Pass 1 to keep ranks as they are."
        round_to = check_whole("round_to", round_to, remedy=remedy)
        if isinstance(model, type) or not hasattr(model, "layers"):
            raise ValueError(
                "Expected `model` to be a converted model. Received: model of type "
                f"{type(model).__name__}. Pass what `convert` returned."
            )
        parts: dict[str, dict[str, Kept]] = {"bases": {}, "channels": {}}
        for layer in _trained_masks(model):
            part, name = layer.weighs
            kept = _strongest(layer.strength(), layer.unmasked(), round_to)
            if parts[part].setdefault(name, kept) != kept:
                raise ValueError(
                    f"Expected one layer to weigh the {part} of `{name}`. Received: "
                    "two, with unlike masks. Call "
                    "`keras_basisprune.graph.flatten(model)`, which renames layers "
                    "that share a name in nested models."
                )
        return cls(**parts)

    def to_json(self) -> str:
        """The plan as a JSON text, the same for equal plans."""
        parts = {"bases": self.bases, "channels": self.channels}
        content = {
            part: {name: dataclasses.asdict(kept) for name, kept in layers.items()}
            for part, layers in parts.items()
        }
        return json.dumps({"version": 1, **content}, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If `text` is not such a plan.
        """
        try:
            content = json.loads(text)
            if content["version"] != 1:
                raise ValueError(f"version {content['version']}")
            return cls(
                *(
                    {name: Kept(**kept) for name, kept in content[part].items()}
                    for part in ("bases", "channels")
                )
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                "Expected `text` to be a plan written by `Plan.to_json()` (version 1). "
                f"Received: {str(text)[:60]!r}, which failed with "
                f"{type(error).__name__}: {error}. Write the plan again."
            ) from error

    def __eq__(self, other):
        if not isinstance(other, Plan):
            return NotImplemented
        return self._parts() == other._parts()

    def __hash__(self):
        return hash(self.to_json())

    def __reduce__(self):  # read-only views can't be copied or pickled themselves
        return Plan, self._parts()

    def _parts(self):
        return dict(self.bases), dict(self.channels)


def _checked(field, layers) -> dict:
    """A copy of one part of a plan."""
    known = isinstance(layers, Mapping)
    wrong = [] if known else [layers]
    for name, kept in layers.items() if known else ():
        if not (isinstance(name, str) and isinstance(kept, Kept)):
            wrong.append({name: kept})
    if wrong:
        raise ValueError(
            f"Expected `{field}` to map names of layers to `Kept`s. Received: "
            f"{wrong[0]!r} (of type {type(wrong[0]).__name__}). Pass, for example, "
            f"`{field}={{'conv1': Kept((0, 2), 4)}}`."
        )
    return dict(layers)


def _strongest(strength, unmasked, round_to) -> Kept:
    """What is not masked, at least one, and the strongest masked ones to round up."""
    order = np.lexsort((-strength, ~unmasked))  # unmasked first, then strength
    alive = max(1, int(unmasked.sum()))
    count = min(-(-alive // round_to) * round_to, len(unmasked))
    return Kept(tuple(sorted(order[:count])), len(unmasked))


def _trained_masks(model):
    """Layers of the protocol of `layers.TrainedMask`, nested models' included.

    They are known by what they can be asked, since this module knows no Keras.
    """
    for layer in model.layers:
        if all(hasattr(layer, name) for name in ("weighs", "strength", "unmasked")):
            yield layer
        elif hasattr(layer, "layers"):
            yield from _trained_masks(layer)
