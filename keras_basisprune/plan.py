"""A plan: the bases and channels to keep of a model, as a frozen value."""

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
        total: Number of bases or channels before.

    Raises:
        ValueError: If a position is not a whole number in `[0, total)`, they do not
            ascend, or no position is given.
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
    """The bases and channels to keep, per layer: chosen by scores, applied by `prune`.

    Attributes:
        bases: Maps names of decomposed layers to the bases `Kept`.
        channels: Maps names of layers to the output channels `Kept`.

    A layer that is not named is not changed. Bases are numbered by strength, as
    `convert` makes them at full rank; channels by their position in the layer's output.
    A plan means the same everywhere: what it names is kept, and a plan that can't be
    carried out is refused. Plans can be compared with `==`, hashed, copied and pickled.

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
            model: A converted model, or one with other layers of trained masks
                (`layers.TrainedMask`), in which a callback (or the user) set the masks.
            round_to: Kept bases (or channels) per layer are rounded up to a multiple of
                this (at most their number), by keeping the strongest masked ones too.

        Returns:
            A `Plan`. A layer whose bases are all masked keeps one. A model without
            such layers gives an empty plan.

        Raises:
            ValueError: If `model` is not a model, `round_to` is not a positive integer,
                or two layers for the same bases or channels have different masks.
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
                    "two, with different masks. Call "
                    "`keras_basisprune.graph.flatten(model)`, which renames layers "
                    "that share a name in nested models."
                )
        return cls(**parts)

    def to_json(self) -> str:
        """Returns the plan as a JSON text, the same for equal plans."""
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
    """Returns a copy of one part of a plan."""
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
    """Keeps what is not masked, at least one, and rounds up by the strongest others."""
    order = np.lexsort((-strength, ~unmasked))  # unmasked first, then strength
    kept = max(1, int(unmasked.sum()))
    count = min(-(-kept // round_to) * round_to, len(unmasked))
    return Kept(tuple(sorted(order[:count])), len(unmasked))


def _trained_masks(model):
    """Yields layers with the protocol of `layers.TrainedMask`, nested models' included.

    They are recognized by their attributes, since this module does not import Keras.
    """
    for layer in model.layers:
        if all(hasattr(layer, name) for name in ("weighs", "strength", "unmasked")):
            yield from layer.parts() if hasattr(layer, "parts") else (layer,)
        elif hasattr(layer, "layers"):
            yield from _trained_masks(layer)
