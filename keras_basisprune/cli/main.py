"""keras-basisprune makes trained Keras networks small.

Usage:
  keras-basisprune COMMAND [--flag=value ...]
  keras-basisprune --version

Commands:
  inspect   list which layers can be decomposed, and the effect of --rank
  compress  remove what the task of --data doesn't need, write small files
  search    run compress with many choices of its flags, shared by many processes
  export    turn a .keras file into LiteRT files and a SavedModel
  report    write report.html again, from the report.json in a folder
  compare   show the reports of two folders side by side, as text and as a page
  evaluate  score a .keras or .tflite file on the images of --data
  diff      learn a task as a sparse difference to a network, write it to a file
  apply     make the network of a task from a network and such a file
  prefilter find the part of a large source to pre-train on for a target
  measure   count parameters, FLOPs and bytes, and time one inference

Examples:
  keras-basisprune inspect --model=MobileNetV2 --input_size=96 --rank=0.9
  keras-basisprune compress --model=MobileNet --weights=imagenet --data=photos/ \\
      --input_size=96 --output_dir=small
  keras-basisprune compress --model=mine.keras --data=mine.npz --max_drop=0.02 \\
      --recover=all
  keras-basisprune search --model=mine.keras --data=mine.npz --output_dir=out \\
      --choose=methods=basis,channels,basis+channels --choose=seed=0,1,2
  keras-basisprune report small
  keras-basisprune compare small smaller
  keras-basisprune evaluate --model=small/small_float32.tflite --data=photos/
  keras-basisprune export --model=small/small.keras --formats=float16,int8 \\
      --data=photos/
  keras-basisprune diff --model=base.keras --data=photos/ --output=task.npz
  keras-basisprune apply --model=base.keras --delta=task.npz --output=task.keras
  keras-basisprune prefilter --source=photos/ --target=birds.npz \\
      --encoder=MobileNetV2 --keep=0.12 --output_dir=kept
  keras-basisprune measure --model=small/small_float32.tflite

Flags (keras-basisprune COMMAND --help shows those of one command):
"""

import functools
import os
import pathlib
import sys
import warnings

from absl import flags
from rich.console import Console
from rich.markup import escape

from keras_basisprune.cli._table import COMMANDS
from keras_basisprune.cli.check_flags import check_flags
from keras_basisprune.cli.define_flags import define_flags
from keras_basisprune.cli.flag_help import flag_help
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.version import __version__


def main(argv=None) -> int:
    """Runs the command line.

    Args:
        argv: List of strings, the program's name first. Defaults to `sys.argv`.

    Returns:
        The exit code: 0 if all went well, 1 if the command failed, 2 if the command
        line is wrong. Errors are one line on the standard error stream.
    """
    argv = list(sys.argv if argv is None else argv)
    values = define_flags()
    try:
        words = values(argv)[1:]
        if values.help or words[:1] == ["help"] or not argv[1:]:
            named = [word for word in words if word in COMMANDS]
            _print(flag_help(named[0]) if named else f"{__doc__}{flag_help()}")
            return 0
        if values.version:
            _print(f"keras-basisprune {__version__}")
            return 0
        if len(words) == 2 and words[0] == "report":
            _set_folder(values, words.pop())
        folders = _two_folders(words) if words[:1] == ["compare"] else []
        if len(words) != 1 or words[0] not in COMMANDS:
            raise flags.Error(
                f"Expected one command of {', '.join(COMMANDS)}. "
                f"Received: {' '.join(words) or 'none'}. See keras-basisprune --help."
            )
        check_flags(values, words[0])
    except flags.Error as error:
        return _print_error(error, 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module=r"keras(\.|$)")
    warnings.showwarning = functools.partial(_warn, warnings.showwarning)
    try:
        with quiet():  # importing TensorFlow logs, at any level
            from keras_basisprune.cli import commands
        getattr(commands, words[0])(values, Console(), *folders)
    except (ValueError, OSError, ImportError) as error:
        if values.debug:
            raise
        return _print_error(error, 1)
    except KeyboardInterrupt:
        note = f" The same command continues from the state in {values.output_dir}."
        resumes = words[0] in ("compress", "search")
        return _print_error(f"Interrupted.{note * resumes}", 1)
    except Exception as error:  # of Keras, of a backend, or a bug in this package
        if values.debug:
            raise
        text = f"{type(error).__name__}: {error}".rstrip(".")
        return _print_error(f"{text}. Pass --debug to see the traceback.", 1)
    return 0


def _print(text):
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader (`head`, for example) has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _set_folder(values, folder):
    if values["output_dir"].present:
        raise flags.Error(
            "Expected one folder. Received: "
            f"{folder} and --output_dir={values.output_dir}. Leave one of them out."
        )
    values.output_dir = folder


def _two_folders(words) -> list:
    """Takes the two folders from the words of a command line."""
    folders = words[1:]
    del words[1:]
    if len(folders) != 2:
        raise flags.Error(
            "Expected two folders, each with a report.json of compress. Received: "
            f"{' '.join(folders) or 'none'}. Pass compare DIR DIR."
        )
    return folders


def _warn(other, message, category, filename, *place):
    """Prints a warning of this package in one line; others are not changed."""
    if pathlib.Path(__file__).parent not in pathlib.Path(filename).parents:
        other(message, category, filename, *place)
        return
    text = " ".join(str(message).split())
    Console(stderr=True).print(
        f"[bold yellow]keras-basisprune:[/] {escape(text)}",
        soft_wrap=True,
        highlight=False,
    )


def _print_error(error, code) -> int:
    text = " ".join(str(error).split())
    text = text.encode("utf-8", "backslashreplace").decode()  # names of odd bytes
    Console(stderr=True).print(
        f"[bold red]keras-basisprune:[/] {escape(text)}",
        soft_wrap=True,
        highlight=False,
    )
    return code
