"""The arguments that jobs differ in."""

import dataclasses
import hashlib
import inspect
import json
import math
import re
from collections.abc import Mapping

from keras_basisprune.methods import Method
from keras_basisprune.search.compress import compress
from keras_basisprune.search.fingerprint import fingerprint
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.shown import shown

_RECORDS = {"config": SearchOptions, "recover": Recovery}
_SET = ("model", "train", "validation", "output_dir", "verbose", "callbacks", "test")
_PARAMETERS = inspect.signature(compress).parameters
OF_COMPRESS = tuple(name for name in _PARAMETERS if name not in _SET)


class Choices:
    """Named lists of values, and their combinations.

    Args:
        choices: Dict from the names of arguments of `compress`, or of fields of its
            records (`"config.margin"`, `"recover.learning_rate"`), to lists of values.
        arguments: Dict of the arguments that all jobs have in common.

    Raises:
        ValueError: If a name or a list is none.
    """

    def __init__(self, choices, arguments):
        self._arguments = dict(arguments)
        _check_arguments(self._arguments)
        if not isinstance(choices, Mapping) or not choices:
            raise ValueError(
                "Expected `choices` to be a dict from arguments of `compress` to lists "
                f"of values. Received: choices={shown(choices)}. Pass "
                "{'methods': [['basis'], ['channels']], 'seed': range(3)}, say."
            )
        self._values = {name: self._labelled(name, choices[name]) for name in choices}

    @property
    def labels(self) -> dict[str, list]:
        """Lists of the labels of the values, by name: strings, numbers, flags, None."""
        return {name: list(values) for name, values in self._values.items()}

    @property
    def count(self) -> int:
        """Number of combinations."""
        return math.prod(len(values) for values in self._values.values())

    def row(self, number) -> dict:
        """Returns one of all combinations, as a dict of labels by name."""
        found = {}
        for name, values in reversed(self._values.items()):
            number, place = divmod(number, len(values))
            found[name] = list(values)[place]
        return {name: found[name] for name in self._values}

    def arguments(self, labels) -> dict:
        """Returns the arguments of `compress` for a dict of labels."""
        found = dict(self._arguments)
        fields: dict[str, dict] = {}
        for name, label in labels.items():
            record, _, field = name.partition(".")
            if field:
                fields.setdefault(record, {})[field] = self._values[name][label]
            else:
                found[name] = self._values[name][label]
        for record, changes in fields.items():
            base = found.get(record)
            if isinstance(base, str):
                base = Recovery(weights=base)
            if base is None and record == "recover":
                continue  # nothing is trained
            base = _RECORDS[record]() if base is None else base
            found[record] = dataclasses.replace(base, **changes)
        return found

    def key(self, labels) -> str:
        """Returns a name of a folder for a combination, the same in every process."""
        text = ",".join(f"{name}={label}" for name, label in sorted(labels.items()))
        plain = re.sub(r"[^A-Za-z0-9=+.,_-]+", "_", text)[:80].rstrip(".")
        return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def fingerprint(self) -> str:
        """Returns a checksum of choices and common arguments."""
        known = {name: label_of(value) for name, value in self._arguments.items()}
        text = json.dumps([self.labels, known], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _labelled(self, name, values) -> dict:
        record, _, field = (
            name.partition(".") if isinstance(name, str) else ("", "", "")
        )
        known = OF_COMPRESS
        if field:
            kind = _RECORDS.get(record)
            known = (
                [f"{record}.{f.name}" for f in dataclasses.fields(kind)] if kind else ()
            )
        if name not in known:
            raise ValueError(
                "Expected `choices` to name arguments of `compress`, or fields such as "
                f"'config.margin'. Received: {name!r}. There are "
                f"[{shortened(known or OF_COMPRESS)}]."
            )
        if name in self._arguments:
            raise ValueError(
                f"Expected {name} in `choices` or as an argument, not both. Received: "
                f"{name}={shown(self._arguments[name])}. Leave out one of them."
            )
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            values = None
        found = {label_of(value): value for value in values or ()}
        if not found or len(found) != len(list(values)):
            raise ValueError(
                f"Expected `choices` to hold lists of different values. Received: "
                f"{name!r}: {shown(values)}. Pass [0, 1], say."
            )
        return found


def label_of(value):
    """Describes a value by a string, number, flag or `None`, always the same."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Method):
        return value.name
    if isinstance(value, list | tuple):
        return "+".join(str(label_of(part)) for part in value)
    if dataclasses.is_dataclass(value):
        given = [
            f"{field.name}={fingerprint(getattr(value, field.name))}"
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != field.default
        ]
        return f"{type(value).__name__}({', '.join(given)})"
    return str(fingerprint(value))


def _check_arguments(arguments):
    for name in arguments:
        if name not in OF_COMPRESS:
            raise ValueError(
                "Expected further arguments to be those of `compress`. Received: "
                f"`{name}`. There are [{shortened(OF_COMPRESS, 30)}]."
            )
