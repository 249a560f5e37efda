"""Writes the parts of a BUILD file, formatted as buildifier does."""

LOAD = '\nload("@rules_python//python:defs.bzl", {})\n'


def rule_text(rule, **arguments):
    """Returns the text of one call, without arguments that are empty lists."""
    lines = [f"\n{rule}("]
    for key, value in arguments.items():
        if value == []:
            continue
        if isinstance(value, list):
            value = list_text(value)
        elif isinstance(value, str) and not value.startswith(("glob(", "[")):
            value = f'"{value}"'
        lines.append(f"    {key} = {value},")
    return "\n".join([*lines, ")"]) + "\n"


def list_text(items, indent=4):
    """Returns the text of a list, on one line if it has one item."""
    if len(items) < 2:
        return "[" + "".join(f'"{item}"' for item in items) + "]"
    space = " " * indent
    return "[\n" + "".join(f'{space}    "{item}",\n' for item in items) + f"{space}]"
