"""Every flag of every command."""

import dataclasses

from keras_basisprune.cli._exporters import EXPORTERS
from keras_basisprune.utils.method_names import METHOD_NAMES

COMMANDS = {
    "inspect": "say of each layer whether it can be decomposed, and what --rank does",
    "compress": "remove what the task of --data doesn't need, write small files",
    "export": "turn a .keras file into LiteRT files and a SavedModel",
    "report": "write report.html anew, from the report.json in a folder",
    "measure": "count parameters, FLOPs and bytes, and time one inference",
}
_ALL = tuple(COMMANDS)
_MODEL = ("inspect", "compress", "export", "measure")
_DATA = ("inspect", "compress", "export")
_FILES = ("compress", "export")
_POSITIVE = (1, None)
_SHARE = (0, 1)  # the upper end is left out
_LEAST = (0, None)
# Names of methods, short ones first; and those that a short one stands for.
_METHODS = [row.short for row in sorted(METHOD_NAMES, key=lambda row: not row.alias)]
_LONG = [row.name for row in METHOD_NAMES if row.alias]


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        kind: `"string"`, `"integer"`, `"float"`, `"bool"`, `"list"` (separated by
            commas) or `"multi_string"` (may be given several times).
        name: Its name without dashes.
        default: Its default value.
        help: What it does, in a sentence or two.
        commands: The commands that take it.
        range: Smallest and largest value, `None` for any. Of floats, the largest is
            left out.
        choices: What it may be, or what its parts may be; empty for anything.
    """

    kind: str
    name: str
    default: object
    help: str
    commands: tuple = ("compress",)
    range: tuple = (None, None)
    choices: tuple = ()


FLAGS = (
    Flag("string", "model", None, "A .keras file, or the name of a Keras Application. "
         "measure also takes a .tflite file.", _MODEL),
    Flag("string", "weights", None, "Weights of a Keras Application: imagenet, the "
         "path of a weights file without top, or none for random ones. Default: "
         "imagenet for compress, else none.", _MODEL),
    Flag("multi_string", "import", None, "Module, or path of a .py file, with the "
         "layers and functions of your own that the .keras file needs. Give it again, "
         "or separate by commas, for several.", _MODEL),
    Flag("string", "data", None, "Images: digits (built in), tfds:NAME, a folder with "
         "a sub-folder per class, or an .npz file. Models get pixels in [0, 255].",
         _DATA),
    Flag("string", "output_dir", "keras_basisprune_output", "Where files are written, "
         "or where report reads.", ("compress", "export", "report")),
    Flag("integer", "input_size", None, "Height and width of the input of a Keras "
         "Application (default: 96), or of a model that takes any size.", _MODEL,
         (8, 4096)),
    Flag("integer", "max_images", None, "Use at most so many images of each split.",
         _DATA, _POSITIVE),
    Flag("float", "rank", None, "Bases per layer, an integer, or a share of energy "
         "below 1.", ("inspect",), _LEAST),
    Flag("list", "include", None, "Layer names or regular expressions to decompose. "
         "Default: all convolutions.", ("inspect",)),
    Flag("list", "exclude", None, "Layer names or regular expressions to leave alone.",
         ("inspect",)),
    Flag("integer", "finetune_epochs", 5, "Epochs of training a Keras Application on "
         "the data before it is made small.", range=_LEAST),
    Flag("string", "cost", "flops", "What is to become small: flops, params, "
         "bytes, latency.", choices=("flops", "params", "bytes", "latency")),
    Flag("string", "recover", "none", "What is trained after each cut: none, all "
         "(weights), scales.", choices=("none", "all", "scales")),
    Flag("integer", "epochs", 5, "Epochs of each such training.", range=_POSITIVE),
    Flag("float", "learning_rate", 1e-3, "Its initial learning rate.", range=_LEAST),
    Flag("bool", "distill", True, "Train towards the outputs of the original, not "
         "towards labels."),
    Flag("string", "flip", "none", "Train on images that are mirrored at random: none, "
         "horizontal, vertical, horizontal_and_vertical.",
         choices=("none", "horizontal", "vertical", "horizontal_and_vertical")),
    Flag("float", "shift", 0.0, "And shifted at random, by so much of height and width "
         "at most.", range=_SHARE),
    Flag("float", "zoom", 0.0, "And zoomed at random, in or out by so much at most.",
         range=_SHARE),
    Flag("float", "contrast", 0.0, "And of a contrast that is so much less or more at "
         "most.", range=_SHARE),
    Flag("float", "brightness", 0.0, "And darker or lighter by so much of the range of "
         "pixels at most.", range=_SHARE),
    Flag("bool", "augment_fit", False, "Fit networks on images that are changed so, "
         "too, not as they are."),
    Flag("float", "temperature", 1.0, "By which probabilities are softened when "
         "networks are trained towards the original's; with 4, small ones count as "
         "well.", range=(1e-3, 1e3)),
    Flag("integer", "rounds", 5, "The most rounds of cutting and training.",
         range=_POSITIVE),
    Flag("integer", "samples", 1000, "Images that each network is fitted on.",
         range=_POSITIVE),
    Flag("string", "tensorboard", None, "Folder for TensorBoard's logs."),
    Flag("float", "max_drop", 0.01, "Accuracy that may be lost on the validation "
         "images; 0.01 is one point.", range=_SHARE),
    Flag("float", "margin", 0.0, "By how many standard errors networks have to be "
         "better than that, so that other images don't tell otherwise.", range=_LEAST),
    Flag("integer", "batch_size", 32, "Images per training step.", range=_POSITIVE),
    Flag("integer", "round_to", 1, "Make ranks and channels multiples of this.",
         range=_POSITIVE),
    Flag("list", "methods", ["basis", "channels"], "How networks are made, some of: "
         f"{', '.join(_METHODS)}. Training that a method needs is on the labels.",
         choices=(*_METHODS, *_LONG)),
    Flag("bool", "compensate", True, "Correct the kernels that read channels which "
         "have left."),
    Flag("list", "formats", ["float32", "saved_model"], "Files to write, of "
         f"{', '.join(EXPORTERS)}; all but saved_model are LiteRT files. "
         "compress --formats= writes none.", _FILES, choices=tuple(EXPORTERS)),
    Flag("integer", "runs", 50, "Inferences to time.", ("measure",), (1, 1_000_000)),
    Flag("integer", "seed", 0, "Seed of everything random.", _DATA, (0, 2**31 - 1)),
    Flag("bool", "debug", False, "Show where in the code an error came up.", _ALL),
)  # fmt: skip
