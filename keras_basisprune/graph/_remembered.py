"""Keeps what was read of a model with the model."""

import dataclasses
from typing import Any

import keras

# In `vars(model)`, bypassing Keras' tracking of attributes. A dictionary with weak keys
# would not do: layers may refer back to the model that they are part of (through nodes
# of another graph), so its values would keep such a model alive for ever. Here that is
# an ordinary reference cycle.
_PLACE = "_basisprune_trace"


@dataclasses.dataclass(frozen=True)
class _Read:
    """What was read, and from which objects; holding them keeps their `id`s taken."""

    parts: list
    dtypes: list
    found: Any

    def holds(self, parts, dtypes) -> bool:
        alike = len(parts) == len(self.parts) and dtypes == self.dtypes
        return alike and all(a is b for a, b in zip(parts, self.parts, strict=True))


def remembered(model, read):
    """Returns what was read of a model before, if the model has not changed since.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        read: A function that reads it.

    Returns:
        What `read()` returned when it was called last. It is called again if the model
        or a nested one has other layers or outputs, or a layer computes in another
        dtype.
    """
    parts, dtypes = _state(model)
    known = vars(model).get(_PLACE)
    if known is None or not known.holds(parts, dtypes):
        known = vars(model)[_PLACE] = _Read(parts, dtypes, read())
    return known.found


def _state(model) -> tuple[list, list]:
    """Returns all that a trace depends on and that may change: objects and dtypes."""
    parts, dtypes, pending, seen = [model.inputs[0]], [], [model], {id(model)}
    while pending:
        layer = pending.pop()
        if isinstance(layer, keras.Model):
            parts += getattr(layer, "outputs", None) or []
        inside = getattr(layer, "layers", None) or getattr(layer, "layer", None) or []
        for part in inside if isinstance(inside, list) else [inside]:
            if isinstance(part, keras.layers.Layer):
                parts.append(part)
                dtypes.append(part.compute_dtype)
                if id(part) not in seen:
                    seen.add(id(part))
                    pending.append(part)
    return parts, dtypes
