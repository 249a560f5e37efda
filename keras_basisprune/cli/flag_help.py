"""The text of `--help`."""

import textwrap

from keras_basisprune.cli._table import COMMANDS, FLAGS


def flag_help(command=None) -> str:
    """Returns the help on flags, one paragraph each.

    Args:
        command: Name of a command, to describe only its flags; `None` for all flags.

    Returns:
        A string of many lines.
    """
    if command is None:
        return "\n".join(_line(flag, _whose(flag)) for flag in FLAGS)
    place = {"report": "[DIR] ", "compare": "DIR DIR "}.get(command, "")
    lines = [
        f"keras-basisprune {command}\n\n  {COMMANDS[command].capitalize()}.",
        "\nUsage:",
        f"  keras-basisprune {command} {place}[--flag=value ...]",
        "\nFlags:",
    ]
    lines += [_line(flag) for flag in FLAGS if command in flag.commands]
    return "\n".join(lines)


def _whose(flag) -> str:
    whole = len(flag.commands) >= len(COMMANDS) - 1
    return "" if whole else f"{', '.join(flag.commands)}: "


def _line(flag, whose="") -> str:
    name = f"--[no]{flag.name}" if flag.kind == "bool" else f"--{flag.name}"
    text = f"{whose}{flag.help}"
    if flag.default is not None:
        default = flag.default
        if flag.kind == "list":
            default = ",".join(default)
        text += f" Default: {str(default).lower() if flag.kind == 'bool' else default}."
    first, *more = textwrap.wrap(text, 88 - 21)
    return "\n".join([f"  {name:<18} {first}", *(" " * 21 + line for line in more)])
