"""keras-basisprune makes trained Keras networks small.

Usage:
  keras-basisprune COMMAND [--flag=value ...]

Commands:
  inspect   say of each layer whether it can be decomposed, and what --rank would do
  compress  remove what the task of --data doesn't need, write small files
  export    turn a .keras file into LiteRT files and a SavedModel
  report    write report.html anew, from the report.json in a folder
  measure   count parameters, FLOPs and bytes, and time one inference

Examples:
  keras-basisprune inspect --model=MobileNetV2 --input_size=96 --rank=0.9
  keras-basisprune compress --model=MobileNet --weights=imagenet --data=photos/ \\
      --input_size=96 --output_dir=small
  keras-basisprune compress --model=mine.keras --data=mine.npz --max_drop=0.02 \\
      --recover=all
  keras-basisprune report small
  keras-basisprune export --model=small/small.keras --quantization=float16,int8 \\
      --data=photos/
  keras-basisprune measure --model=small/small_float32.tflite
"""

import functools
import os
import pathlib
import sys
import warnings

from absl import flags
from rich.console import Console
from rich.markup import escape

COMMANDS = ("inspect", "compress", "export", "report", "measure")


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
            print(f"{__doc__}\nFlags:\n{_flag_help(values)}")
            return 0
        if len(words) == 2 and words[0] == "report":
            values.output_dir = words.pop()
        if len(words) != 1 or words[0] not in COMMANDS:
            raise flags.Error(
                f"Expected one command of {', '.join(COMMANDS)}. "
                f"Received: {' '.join(words) or 'none'}. See keras-basisprune --help."
            )
        if values.model is None and words != ["report"]:
            raise flags.Error(
                "Expected --model: a .keras file, or a Keras Application such as "
                "MobileNetV2. Received: none."
            )
    except flags.Error as error:
        return _fail(error, 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module=r"keras(\.|$)")
    warnings.showwarning = functools.partial(_warn, warnings.showwarning)
    from keras_basisprune import commands

    try:
        getattr(commands, words[0])(values, Console())
    except (ValueError, OSError, ImportError) as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        goes_on = f" The same command goes on from what is in {values.output_dir}."
        return _fail(f"Interrupted.{goes_on * (words == ['compress'])}", 1)
    return 0


_POSITIVE = {"lower_bound": 1}
_SHARE = {"lower_bound": 0, "upper_bound": 1}
_FLAGS = (  # kind, name, default, help, bounds
    ("string", "model", None, "A .keras file, or the name of a Keras Application. "
     "measure also takes a .tflite file."),
    ("string", "weights", None, "Weights of a Keras Application: imagenet, the path of "
     "a weights file without top, or none for random ones. Default: imagenet for "
     "compress, else none."),
    ("string", "data", None, "Images: digits (built in), tfds:NAME, a folder with a "
     "sub-folder per class, or an .npz file. Models get pixels in [0, 255]."),
    ("string", "output_dir", "keras_basisprune_output", "Where compress and export "
     "write."),
    ("integer", "input_size", None, "Height and width of a Keras Application's input. "
     "Default: 96.", {"lower_bound": 8}),
    ("integer", "max_images", None, "Use at most so many images of each split.",
     _POSITIVE),
    ("float", "rank", None, "inspect: bases per layer, an integer, or a share of "
     "energy below 1.", {"lower_bound": 0}),
    ("list", "include", None, "inspect: layer names or regular expressions to "
     "decompose. Default: all convolutions."),
    ("list", "exclude", None, "inspect: layer names or regular expressions to leave "
     "alone."),
    ("integer", "finetune_epochs", 5, "compress: epochs of training a Keras "
     "Application on the data before it is made small.", {"lower_bound": 0}),
    ("string", "objective", "flops", "compress: what is to become small: flops, "
     "params, bytes, latency."),
    ("string", "recover", "none", "compress: what is trained after each cut: none, all "
     "(weights), scales."),
    ("integer", "epochs", 5, "compress: epochs of each such training.", _POSITIVE),
    ("float", "learning_rate", 1e-3, "compress: its initial learning rate.",
     {"lower_bound": 0}),
    ("bool", "distill", True, "compress: train towards the outputs of the original, "
     "not towards labels."),
    ("string", "flip", "none", "compress: train on images that are mirrored at random: "
     "none, horizontal, vertical, horizontal_and_vertical."),
    ("float", "shift", 0.0, "compress: and shifted at random, by so much of height and "
     "width at most.", {"lower_bound": 0}),
    ("float", "zoom", 0.0, "compress: and zoomed at random, in or out by so much at "
     "most.", {"lower_bound": 0}),
    ("float", "contrast", 0.0, "compress: and of a contrast that is so much less or "
     "more at most.", {"lower_bound": 0}),
    ("float", "brightness", 0.0, "compress: and darker or lighter by so much of the "
     "range of pixels at most.", {"lower_bound": 0}),
    ("bool", "augment_fit", False, "compress: fit networks on images that are changed "
     "so, too, not as they are."),
    ("float", "temperature", 1.0, "compress: by which probabilities are softened when "
     "networks are trained towards the original's; with 4, small ones count as well.",
     {"lower_bound": 1e-3, "upper_bound": 1e3}),
    ("integer", "rounds", 5, "compress: the most rounds of cutting and training.",
     _POSITIVE),
    ("integer", "samples", 1000, "compress: images that each network is fitted on.",
     _POSITIVE),
    ("string", "tensorboard", None, "compress: folder for TensorBoard's logs."),
    ("float", "max_drop", 0.01, "compress: accuracy that may be lost on the validation "
     "images; 0.01 is one point.", _SHARE),
    ("float", "margin", 0.0, "compress: by how many standard errors networks have to "
     "be better than that, so that other images don't tell otherwise.",
     {"lower_bound": 0}),
    ("integer", "batch_size", 32, "compress: images per training step.", _POSITIVE),
    ("integer", "round_to", 1, "compress: make ranks and channels multiples of this.",
     _POSITIVE),
    ("list", "methods", ["basis", "channels"], "compress: what is removed."),
    ("bool", "compensate", True, "compress: correct the kernels that read channels "
     "which have left."),
    ("list", "quantization", ["float32"], "LiteRT files to write: float32, float16, "
     "dynamic, int8."),
    ("bool", "saved_model", True, "Whether to write a SavedModel too."),
    ("integer", "runs", 50, "measure: inferences to time.", _POSITIVE),
    ("integer", "seed", 0, "Seed of everything random.", {"lower_bound": 0}),
)  # fmt: skip


def define_flags() -> flags.FlagValues:
    """The flags of all commands, a fresh set."""
    values = flags.FlagValues()
    flags.DEFINE_bool(
        "help", False, "Show this text.", flag_values=values, short_name="h"
    )
    for kind, name, default, text, *bounds in _FLAGS:
        define = getattr(flags, f"DEFINE_{kind}")
        define(name, default, text, flag_values=values, **(bounds or [{}])[0])
    return values


def _flag_help(values) -> str:
    lines = []
    for _, name, default, text, *_ in _FLAGS:
        lines.append(f"  --{name:<16} {text}")
        if default is not None:
            lines[-1] += f" Default: {values[name].default_as_str.strip(chr(39))}."
    return "\n".join(lines)


def _warn(other, message, category, filename, *place):
    """A warning of this package in one line; others as they were."""
    if pathlib.Path(__file__).parent not in pathlib.Path(filename).parents:
        other(message, category, filename, *place)
        return
    text = " ".join(str(message).split())
    Console(stderr=True).print(
        f"[bold yellow]keras-basisprune:[/] {escape(text)}",
        soft_wrap=True,
        highlight=False,
    )


def _fail(error, code) -> int:
    text = " ".join(str(error).split())
    Console(stderr=True).print(
        f"[bold red]keras-basisprune:[/] {escape(text)}",
        soft_wrap=True,
        highlight=False,
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
