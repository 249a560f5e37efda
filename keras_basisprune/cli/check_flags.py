"""Checks of flags, before any file is read."""

import math
import os

from absl import flags

from keras_basisprune.cli._exporters import EXPORTERS
from keras_basisprune.cli._table import FLAGS
from keras_basisprune.cli.as_max_drop import as_max_drop
from keras_basisprune.cli.chosen_flags import chosen_flags
from keras_basisprune.utils.check_duration import check_duration
from keras_basisprune.utils.method_names import named_methods

_CHANGES = ("flip", "shift", "zoom", "contrast", "brightness")
_TRAINING = ("epochs", "learning_rate", "distill", *_CHANGES, "augment_fit")
_TRAINING += ("temperature", "quantize")

_IMAGES = "a folder of images, an .npz, .npy or .tfrecord file, tfds:NAME, or digits"
_NEEDED = {
    "source": _IMAGES,
    "target": _IMAGES,
    "encoder": "a .keras file, or a Keras Application such as MobileNetV2",
}


def check_flags(values, command):
    """Raises `absl.flags.Error` unless the flags are right for a command, together.

    A flag that would have no effect is refused, unless it has its default value. No
    file is read.

    Args:
        values: The parsed `absl.flags.FlagValues`.
        command: Name of the command.
    """
    given = {flag.name: flag for flag in FLAGS if values[flag.name].present}
    for flag in given.values():
        if command not in flag.commands:
            raise flags.Error(
                f"Expected flags of {command}. Received: --{flag.name}, which is for "
                f"{', '.join(flag.commands)}. See keras-basisprune {command} --help."
            )
        _check_value(flag, values[flag.name].value)
    _check_max_drop(values)
    _check_needs(values, command)
    for names, reason in _idle(values, command):
        for name in names:
            if name in given and values[name].value != given[name].default:
                off = given[name].kind == "bool" and not values[name].value
                raise flags.Error(
                    "Expected flags that have an effect. Received: "
                    f"--{'no' * off}{name} {reason}"
                )


def _check_value(flag, value):
    def refuse(expected):
        shown = ",".join(value) if isinstance(value, list) else value
        raise flags.Error(
            f"Expected --{flag.name} to be {expected}. Received: --{flag.name}={shown}."
        )

    if flag.kind == "float" and not math.isfinite(value):
        refuse("a finite number")
    if flag.kind == "float" and flag.range == (0, 1) and value == 1:
        refuse("less than 1")
    if flag.name == "rank" and (value == 0 or (value > 1 and value % 1)):
        refuse("a positive integer, or a share of energy between 0 and 1")
    if flag.name == "time_limit":
        try:
            check_duration(flag.name, value)
        except ValueError:
            refuse("a time above 0, such as 90s, 30m or 1h30m")
    parts = value if isinstance(value, list) else [value]
    may_be_empty = flag.name == "formats"
    some = "some" if flag.kind == "list" else "one"
    choices = f"{some} of {', '.join(flag.choices)}" if flag.choices else "not empty"
    if "" in parts or not (parts or may_be_empty):
        refuse(choices)
    if flag.choices and not set(parts) <= set(flag.choices):
        refuse(choices)
    if flag.kind == "list" and len(set(parts)) < len(parts):
        refuse("a list without repetitions")


def _check_max_drop(values):
    """Raises unless it is a budget; of accuracy, all can't be lost."""
    text, metric = values.max_drop, values["metric"]
    shares = metric.value == metric.default
    try:
        budget = as_max_drop(text)
        fits = isinstance(budget, str | None) or budget < (1 if shares else math.inf)
    except ValueError:
        fits = False
    if not fits:
        most = ", less than 1" if shares else ""
        raise flags.Error(
            f"Expected --max_drop to be a number of 0 or more{most}, or a share of the "
            f"original's score, such as 1%. Received: --max_drop={text}."
        )


def _check_needs(values, command):
    """Raises if a flag is missing."""
    if command == "prefilter":
        for name, what in _NEEDED.items():
            if values[name].value is None:
                raise flags.Error(f"Expected --{name}: {what}. Received: none.")
        return
    if command == "compare":
        if values.output is not None and not values.output.endswith(".html"):
            raise flags.Error(
                "Expected --output of compare to end with .html. Received: "
                f"--output={values.output}."
            )
        return
    if command != "report" and values.model is None:
        raise flags.Error(
            "Expected --model: a .keras file, or a Keras Application such as "
            "MobileNetV2. Received: none."
        )
    if command in ("diff", "apply"):
        _check_task(values, command)
    if command == "search":
        _check_search(values)
    if command == "evaluate" and not _is_path(values.model):
        raise flags.Error(
            "Expected --model of evaluate to be a .keras or .tflite file. Received: "
            f"--model={values.model}. A Keras Application has no classes of --data."
        )
    if command in ("compress", "search", "evaluate") and values.data is None:
        why = dict.fromkeys(("compress", "search"), "computes bases on these")
        why["evaluate"] = "scores on these"
        raise flags.Error(
            "Expected --data: digits, tfds:NAME, a folder of images per class, or an "
            f".npz file. Received: none. {command} {why[command]} images."
        )
    if command != "export":
        return
    needy = [name for name in values.formats if EXPORTERS[name].needs_data]
    if needy and values.data is None:
        raise flags.Error(
            f"Expected --data with --formats={needy[0]}: images on which the ranges of "
            "activations are measured. Received: none. Pass a few hundred images, or "
            "choose dynamic, which needs none."
        )
    if not values.formats:
        raise flags.Error(
            "Expected something to write. Received: --formats= without a name. Leave "
            "it out."
        )


def _check_search(values):
    """Raises unless a file is searched, and something is to be chosen."""
    if not _is_path(values.model) or values.model.endswith(".tflite"):
        raise flags.Error(
            "Expected --model of search to be a .keras file. Received: "
            f"--model={values.model}. keras-basisprune compress trains a Keras "
            "Application and writes original.keras."
        )
    chosen_flags(values)


def _idle_in_search(values):
    """Yields the same for `search`."""
    chosen = chosen_flags(values)
    if values.recover == "none" and "recover" not in chosen:
        names = [n for n in (*_TRAINING, "batch_size") if n != "epochs"]
        yield names, "with --recover=none. It is for training after the cuts."


def _check_task(values, command):
    """Raises unless a file goes in and another one comes out."""
    if not _is_path(values.model):
        raise flags.Error(
            f"Expected --model of {command} to be a file. Received: "
            f"--model={values.model}. Save the network by `model.save('base.keras')`."
        )
    needed = {"diff": "data", "apply": "delta"}[command]
    for name, example in ((needed, "task.npz"), ("output", "task.npz or out.keras")):
        if values[name].value is None:
            raise flags.Error(
                f"Expected --{name} with {command}. Received: none. Pass a path, such "
                f"as {example}."
            )
    ending = {"diff": ".npz", "apply": ".keras"}[command]
    if not values.output.endswith(ending):
        raise flags.Error(
            f"Expected --output of {command} to end with {ending}. Received: "
            f"--output={values.output}."
        )


def _idle(values, command):
    """Yields names of flags that would have no effect, and the reasons."""
    if command == "prefilter":
        yield from _idle_filter(values)
        return
    model = values.model or ""
    if _is_path(model):
        names = ("weights", "finetune_epochs")
        yield names, "with a file as --model. It is for Keras Applications."
    if model.endswith(".tflite"):
        names = ("input_size", "import")
        yield names, "with a .tflite file as --model. It has one input size, no layers."
        if command == "evaluate":
            yield ("batch_size",), "with a .tflite file, which has its own."
    elif command == "evaluate":
        yield ("workers",), "with a .keras file. It is for .tflite files."
    elif not _is_path(model):
        yield ("import",), "with a Keras Application. It is for .keras files."
    if command in ("inspect", "export") and values.data is None:
        yield ("max_images", "seed"), "without --data."
    if command not in ("compress", "search"):
        return
    if command == "search":
        yield from _idle_in_search(values)
        return
    methods = named_methods(values.methods)
    if values.recover == "none":
        text = "with --recover=none. It is for training after the cuts: --recover=all."
        trained = any(method.trains for method in methods)
        yield [n for n in _TRAINING if not (trained and n == "epochs")], text
        if _is_path(model) or not values.finetune_epochs:
            yield ("batch_size",), text
    if values.recover == "scales":
        yield ("quantize",), "with --recover=scales. It trains all weights."
    if values.ship != "int8":
        yield ("quantize",), "without --ship=int8."
    if not values.distill:
        yield ("temperature",), "with --nodistill. It softens the original's outputs."
    if values.flip == "none" and not any(values[n].value for n in _CHANGES[1:]):
        yield ("augment_fit",), f"without one of --{', --'.join(_CHANGES)}."
    if not any(method.compensates for method in methods):
        text = f"with --methods={','.join(values.methods)}. It corrects layers that "
        yield ("compensate",), f"{text}read removed channels."


def _idle_filter(values):
    """Yields the same for `prefilter`."""
    if _is_path(values.encoder):
        text = "with a file as --encoder. It is for Keras Applications."
        yield ("weights", "input_size"), text
    else:
        names = ("import", "layer")
        yield names, "with a Keras Application. It is for .keras files."
    if values.method != "clusters":
        yield ("clusters",), f"with --method={values.method}."


def _is_path(model) -> bool:
    """Returns whether --model names a file, not a Keras Application."""
    return "." in model or os.sep in model
