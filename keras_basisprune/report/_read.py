"""Reads `report.json` and says what is wrong with it."""

import json
import re

from keras_basisprune.utils.check_path import check_path

_REMEDY = "Pass the `output_dir` of `compress(...)`, or run it again to write the file."
_VERSIONS = (1, 2)
_RENAMED = {"certainty": "loss_statement", "classes": "class_warning"}  # in version 2


def _number(value):
    return value is None or (
        isinstance(value, (int, float)) and not isinstance(value, bool)
    )


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_or_none(value):
    return value is None or _whole(value)


def _text(value):
    return isinstance(value, str)


def _text_or_none(value):
    return value is None or isinstance(value, str)


def _base64(value):
    return _text(value) and re.fullmatch("[A-Za-z0-9+/=]*", value) is not None


def _flag(value):
    return isinstance(value, bool)


def _numbers(value):
    return isinstance(value, list) and all(map(_number, value))


def _pair(value):
    """Checks for two numbers: kept and total, or before and after."""
    return value is None or (_numbers(value) and len(value) == 2 and None not in value)


def _dictionary(value):
    return isinstance(value, dict)


def _record(fields):
    """Returns a check for dictionaries that have (at least) these fields."""
    return lambda value: (
        isinstance(value, dict)
        and all(key in value and check(value[key]) for key, check in fields.items())
    )


def _records(fields):
    """Returns a check for lists of such dictionaries."""
    is_one = _record(fields)
    return lambda value: isinstance(value, list) and all(map(is_one, value))


_FIELDS = {
    "versions": _dictionary,
    "seed": _whole_or_none,
    "arguments": _dictionary,
    "model": _record({"name": _text}),
    "met_budget": _flag,
    "metric": _text,
    "baseline": _number,
    "least": _number,
    "before_after": _records({"label": _text, "before": _number, "after": _number}),
    "trials": _records(
        {"round": _whole, "kept": _number, "score": _number, "trained": _flag}
    ),
    "chosen": _whole_or_none,
    "layers": _records(
        {
            "name": _text,
            "kind": _text,
            **dict.fromkeys(("channels", "rank", "params", "flops"), _pair),
            "reason": _text_or_none,
        }
    ),
    "spectra": _records(
        {"name": _text, "singular_values": _numbers, "rank": _whole_or_none}
    ),
    "equality": _records(
        {"step": _text, "against": _text, "difference": _number, "tolerance": _number}
    ),
    "seconds": lambda value: _dictionary(value) and all(map(_number, value.values())),
    "history": lambda value: _dictionary(value) and all(map(_numbers, value.values())),
}


_FORM = {
    **dict.fromkeys(("model", "form"), _text),
    **dict.fromkeys(("bytes", "milliseconds", "score", "float_share"), _number),
    "in_float": lambda value: _dictionary(value) and all(map(_whole, value.values())),
    "reason": _text_or_none,
}


def _forms(value):
    """Checks the rows of files; those of older versions do not say how they round."""
    complete = _records(_FORM)(value)
    return complete and all(_text_or_none(row.get("rounding")) for row in value)


_OPTIONAL = {  # what reports of older versions lack
    "date": _text,
    "data": _record({"name": _text_or_none}),
    "class_names": lambda value: isinstance(value, list) and all(map(_text, value)),
    "forms": _forms,
    "pictures": _records({"layer": _text, "png": _base64}),
    "loss_statement": _text,
    "class_warning": _text,
    "metric_text": _text,
    "mode": _text,
    "share": _flag,
    "scores": _dictionary,
    "recall": _records(
        {"class": _whole, "images": _whole, "before": _number, "after": _number}
    ),
}


def read_report(folder) -> dict:
    """Reads the contents of `folder/report.json`.

    Numbers that are not finite become None, underscores in labels become spaces.

    Raises:
        ValueError: If there is no such file, or it is not a report of version 1 or 2.
    """
    path = check_path("folder", folder) / "report.json"
    if not path.is_file():
        raise ValueError(
            "Expected `folder` to hold a `report.json`, which `compress(...)` leaves "
            f"in its `output_dir`. Received: folder={str(folder)!r}, where there is "
            f"none. {_REMEDY}"
        )
    try:
        text = path.read_text(encoding="utf-8")
        report = json.loads(text, parse_constant=lambda name: None)
    except ValueError as error:
        raise ValueError(
            f"Expected {str(path)!r} in `folder` to be JSON. Received a file that "
            f"can't be read: {error}. {_REMEDY}"
        ) from error
    version = report.get("version") if isinstance(report, dict) else None
    if version not in _VERSIONS:
        raise ValueError(
            f"Expected {str(path)!r} in `folder` to be a report of version 1 or 2. "
            f"Received: version={version!r}. Use the version of keras_basisprune that "
            "wrote it, or run `compress(...)` again to write the file."
        )
    if version == 1:
        report = {_RENAMED.get(key, key): value for key, value in report.items()}
    _check(report, path)
    arguments = report["arguments"]
    if version == 1 and "objective" in arguments:
        arguments["cost"] = arguments.pop("objective")
    for row in report["before_after"]:
        row["label"] = row["label"].replace("_", " ")
    return report


def _check(report, path):
    """Raises if a field is missing or is not what it should be."""
    optional = {key: _OPTIONAL[key] for key in _OPTIONAL if key in report}
    for key, is_right in {**_FIELDS, **optional}.items():
        if key not in report or not is_right(report[key]):
            received = repr(report[key])[:80] if key in report else "nothing"
            raise ValueError(
                f"Expected {str(path)!r} in `folder` to have a complete {key!r}. "
                f"Received: {received}. {_REMEDY}"
            )
    chosen, count = report["chosen"], len(report["trials"])
    if chosen is not None and not 0 <= chosen < count:
        raise ValueError(
            f"Expected 'chosen' in {str(path)!r} in `folder` to be one of the {count} "
            f"trials, counted from 0, or null. Received: chosen={chosen}. {_REMEDY}"
        )
