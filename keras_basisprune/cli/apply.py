"""The command `apply`: the network of a task."""

import pathlib

from rich.markup import escape

from keras_basisprune.cli._steps import print_line, read_model
from keras_basisprune.cli.check_inputs import check_inputs
from keras_basisprune.methods import TaskDelta
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import save_model


def apply(flags, console):
    """Writes the network of a task."""
    check_inputs(flags)
    check_path("--output", flags.output, "file")
    try:
        delta = TaskDelta.load(flags.delta)
    except ValueError as error:
        raise ValueError(str(error).replace("`path`", "--delta")) from error
    base = read_model(flags, console)
    try:
        network = delta.apply(base)
    except ValueError as error:
        raise ValueError(str(error).replace("`base`", "--model")) from error
    save_model(network, pathlib.Path(flags.output))
    console.print(escape(str(delta)), highlight=False)
    print_line(f"Network: {flags.output}", console)
