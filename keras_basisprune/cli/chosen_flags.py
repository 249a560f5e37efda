"""What `--choose` says."""

import math

from absl import flags

from keras_basisprune.cli._table import FLAGS
from keras_basisprune.cli.as_max_drop import as_max_drop

# Flags that searches can differ in.
_CHOSEN = ("methods", "cost", "recover", "ship", "seed", "max_drop", "epochs", "margin")
_CHOSEN += ("rounds", "samples", "trial_samples", "round_to", "compensate", "distill")
_CHOSEN += ("learning_rate", "temperature")


def chosen_flags(values) -> dict[str, list]:
    """Returns what `--choose` says: lists of values by the names of flags.

    Raises:
        absl.flags.Error: If a text is not FLAG=VALUE,VALUE,... with such a flag.
    """
    known = {flag.name: flag for flag in FLAGS if flag.name in _CHOSEN}
    found: dict[str, list] = {}
    for text in values.choose or [""]:
        name, _, rest = text.partition("=")
        if name not in known or not rest or name in found:
            raise flags.Error(
                "Expected --choose=FLAG=VALUE,VALUE,..., each flag once. Received: "
                f"--choose={text}. FLAG is one of {', '.join(known)}."
            )
        if values[name].present:
            raise flags.Error(
                f"Expected --{name} or --choose={name}=..., not both. Received: both."
            )
        try:
            found[name] = [_as(known[name], part) for part in rest.split(",")]
        except (KeyError, ValueError) as error:
            raise flags.Error(
                f"Expected values of --{name} in --choose. Received: --choose={text} "
                f"({error}). See keras-basisprune compress --help."
            ) from error
    return found


def _as(flag, text):
    """Returns a value of a flag, checked."""
    if flag.kind == "bool":
        return {"true": True, "false": False}[text]
    if flag.kind == "list":
        parts = text.split("+")
        if not set(parts) <= set(flag.choices):
            raise ValueError(f"{text!r} is none of {', '.join(flag.choices)}")
        return parts
    if flag.choices:
        if text not in flag.choices:
            raise ValueError(f"{text!r} is none of {', '.join(flag.choices)}")
        return text
    if flag.name == "max_drop":
        return as_max_drop(text)
    value = {"integer": int, "float": float}[flag.kind](text)
    low, high = flag.range
    if not math.isfinite(value) or value < low or (high is not None and value > high):
        raise ValueError(f"{text} is out of range")
    return value
