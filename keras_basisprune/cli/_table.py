"""Every flag of every command."""

import dataclasses

from keras_basisprune.cli._exporters import EXPORTERS
from keras_basisprune.utils.method_names import METHOD_NAMES

COMMANDS = {
    "inspect": "list which layers can be decomposed, and the effect of --rank",
    "compress": "remove what the task of --data doesn't need, write small files",
    "search": "run compress with many choices of its flags, shared by many processes",
    "export": "turn a .keras file into LiteRT files and a SavedModel",
    "report": "write report.html again, from the report.json in a folder",
    "compare": "show the reports of two folders side by side, as text and as a page",
    "evaluate": "score a .keras or .tflite file on the images of --data",
    "diff": "learn a task as a sparse difference to a network, write it to a file",
    "apply": "make the network of a task from a network and such a file",
    "prefilter": "find the part of a large source to pre-train on for a target",
    "measure": "count parameters, FLOPs and bytes, and time one inference",
}
_ALL = tuple(COMMANDS)
_MODEL = ("inspect", "compress", "search", "export", "measure")
_FILE = (*_MODEL, "diff", "apply", "evaluate")  # of a model, by name or path
_BUILT = ("inspect", "compress", "export", "measure", "prefilter")
_DATA = ("inspect", "compress", "search", "export", "diff", "evaluate")
_SEARCH = ("compress", "search")
_TRAINING = (*_SEARCH, "diff")
_JUDGING = (*_SEARCH, "evaluate")
_FILTER = ("prefilter",)
_JOBS = ("search",)
_FILES = ("compress", "export")
_POSITIVE = (1, None)
_SHARE = (0, 1)  # the upper end is excluded
_NOT_NEGATIVE = (0, None)
# Names of methods, short ones first; and the long names of those with a short one.
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
        help: A description in a sentence or two.
        commands: The commands that have it.
        range: Smallest and largest value, `None` for any. Floats must be less than the
            largest.
        choices: Its possible values, or those of its parts; empty for any.
    """

    kind: str
    name: str
    default: object
    help: str
    commands: tuple = _SEARCH
    range: tuple = (None, None)
    choices: tuple = ()


FLAGS = (
    Flag("string", "model", None, "A .keras file, or the name of a Keras Application. "
         "measure and evaluate also take a .tflite file.", _FILE),
    Flag("string", "weights", None, "Weights of a Keras Application: imagenet, the "
         "path of a weights file without top, or none for random ones. Default: "
         "imagenet for compress and prefilter, else none.", _BUILT),
    Flag("multi_string", "import", None, "Module, or path of a .py file, with the "
         "custom layers and functions that the .keras file needs. Repeat it for "
         "several, or separate them by commas.", (*_FILE, "prefilter")),
    Flag("string", "data", None, "Images: digits (built in), tfds:NAME, a folder with "
         "a sub-folder per class, or an .npz file. Models get pixels in [0, 255].",
         _DATA),
    Flag("string", "output_dir", "keras_basisprune_output", "Where files are written, "
         "or where report reads.", (*_SEARCH, "export", "report", "prefilter")),
    Flag("integer", "input_size", None, "Height and width of the input of a Keras "
         "Application (default: 96), or of a model that takes any size.",
         (*_BUILT, "search", "diff", "evaluate"), (8, 4096)),
    Flag("integer", "max_images", None, "Use at most this many images of each split.",
         _DATA, _POSITIVE),
    Flag("float", "rank", None, "Bases per layer, an integer, or a share of energy "
         "below 1.", ("inspect",), _NOT_NEGATIVE),
    Flag("list", "include", None, "Layer names or regular expressions to decompose. "
         "Default: all convolutions.", ("inspect",)),
    Flag("list", "exclude", None, "Layer names or regular expressions not to "
         "decompose.", ("inspect",)),
    Flag("integer", "finetune_epochs", 5, "Epochs of training a Keras Application on "
         "the data before it is made small.", ("compress",), _NOT_NEGATIVE),
    Flag("string", "cost", "flops", "What to make small: flops, params, bytes, "
         "latency.", choices=("flops", "params", "bytes", "latency")),
    Flag("string", "recover", "none", "What is trained after each cut: none, all "
         "(weights), scales.", choices=("none", "all", "scales")),
    Flag("string", "ship", "none", "The form of the LiteRT file that will ship: "
         "float32, float16, int8. Networks are then judged as such files, too, not "
         "only by Keras.", choices=("none", "float32", "float16", "int8")),
    Flag("bool", "quantize", False, "Follow each such training with quantization-aware "
         "training, a third as long. For --ship=int8."),
    Flag("integer", "epochs", 5, "Epochs of each such training; of diff: of the whole "
         "difference, and again of what is kept of it.", _TRAINING, _POSITIVE),
    Flag("float", "learning_rate", 1e-3, "Initial learning rate of each such training.",
         _TRAINING, _NOT_NEGATIVE),
    Flag("bool", "distill", True, "Train towards the outputs of the original, not "
         "towards labels."),
    Flag("string", "flip", "none", "Train on images that are mirrored at random: none, "
         "horizontal, vertical, horizontal_and_vertical.", _TRAINING,
         choices=("none", "horizontal", "vertical", "horizontal_and_vertical")),
    Flag("float", "shift", 0.0, "Also shift images at random, by up to this share of "
         "height and width.", _TRAINING, _SHARE),
    Flag("float", "zoom", 0.0, "Also zoom images at random, in or out by up to this "
         "share.", _TRAINING, _SHARE),
    Flag("float", "contrast", 0.0, "Also lower or raise the contrast at random, by up "
         "to this share.", _TRAINING, _SHARE),
    Flag("float", "brightness", 0.0, "Also make images darker or lighter at random, by "
         "up to this share of the range of pixels.", _TRAINING, _SHARE),
    Flag("bool", "augment_fit", False, "Fit networks on images that are changed in "
         "this way, too, instead of the original ones."),
    Flag("float", "temperature", 1.0, "Softens probabilities when networks are trained "
         "towards the original's; with 4, small ones count, too.", range=(1e-3, 1e3)),
    Flag("integer", "rounds", 5, "The most rounds of cutting and training.",
         range=_POSITIVE),
    Flag("integer", "samples", 1000, "Images that networks are fitted on.",
         range=_POSITIVE),
    Flag("integer", "trial_samples", 300, "How many of these images networks are "
         "fitted on that are only tried; the best is fitted again on all.",
         range=_POSITIVE),
    Flag("string", "tensorboard", None, "Folder for TensorBoard's logs.",
         ("compress",)),
    Flag("list", "metric", ["auto"], "What networks are judged by: auto (accuracy), "
         "the name of a metric of Keras (f1, auc, ...), or MODULE:NAME, a function of "
         "a model and (images, labels), or a metric, in a module or .py file. Of "
         "several, the first decides.", _JUDGING),
    Flag("string", "mode", "auto", "Whether more of the first metric is better (max) "
         "or less (min). auto knows for metrics of Keras, and for functions that are "
         "called an error, loss or distance.", choices=("auto", "max", "min")),
    Flag("string", "max_drop", None, "How much worse the metric may get on the "
         "validation images: 0.01 is one point of accuracy, 1% a share of what the "
         "original has. Default: 0.01 where the metric is a share, else 1%."),
    Flag("float", "margin", 1.5, "By how many standard errors networks have to be "
         "better than that, so that it also holds for other images.",
         range=_NOT_NEGATIVE),
    Flag("string", "time_limit", None, "Time for the search, such as 90s, 30m or "
         "1h30m; the best network by then is written. The same command with more time "
         "goes on."),
    Flag("integer", "batch_size", 32, "Images per training step, or at a time.",
         (*_TRAINING, "prefilter", "evaluate"), _POSITIVE),
    Flag("integer", "round_to", 1, "Make ranks and channels multiples of this.",
         range=_POSITIVE),
    Flag("list", "methods", ["basis", "channels"], "Methods to make networks small, "
         f"some of: {', '.join(_METHODS)}. Methods that train use the labels.",
         choices=(*_METHODS, *_LONG)),
    Flag("bool", "compensate", True, "Correct the kernels of layers that read removed "
         "channels."),
    Flag("list", "formats", ["float32", "saved_model"], "Files to write, some of "
         f"{', '.join(EXPORTERS)}; all but saved_model are LiteRT files. "
         "compress --formats= writes none.", _FILES, choices=tuple(EXPORTERS)),
    Flag("float", "share", 0.005, "Share of the weights, without the head, that may "
         "differ; 0.005 is 0.5 %.", ("diff",), _SHARE),
    Flag("string", "delta", None, "The .npz file that diff has written.", ("apply",)),
    Flag("string", "output", None, "The file to write: .npz of diff, .keras of apply, "
         ".html of compare (default: comparison.html).", ("diff", "apply", "compare")),
    Flag("string", "split", "test", "The images to score on: train, validation, test, "
         "all.", ("evaluate",), choices=("train", "validation", "test", "all")),
    Flag("integer", "workers", None, "compress: networks that are tried at once, each "
         "in a process of its own, with the same result; default 1. evaluate: threads "
         "that run a .tflite file; default one per processor.",
         ("compress", "evaluate"), (1, 256)),
    Flag("integer", "runs", 50, "Inferences to time.", ("measure",), (1, 1_000_000)),
    Flag("integer", "seed", 0, "Seed of all random numbers.",
         (*_DATA, "prefilter"), (0, 2**31 - 1)),
    Flag("multi_string", "choose", None, "FLAG=VALUE,VALUE,...: what searches differ "
         "in, for example --choose=methods=basis,channels,basis+channels "
         "--choose=seed=0,1,2. All combinations are tried, or as many as --jobs.",
         _JOBS),
    Flag("string", "storage", None, "What processes share: the URL of a database "
         "(postgresql+psycopg://USER@HOST/NAME), or the path of an SQLite file on this "
         "machine. Default: jobs.db in --output_dir.", _JOBS),
    Flag("string", "study", "keras_basisprune", "Name of the search in the storage.",
         _JOBS),
    Flag("integer", "jobs", None, "Number of combinations to try in all processes "
         "together. Default: all.", _JOBS, _POSITIVE),
    Flag("string", "objective", "flops", "By what searches are compared: flops, "
         "params, bytes, latency that is left.", _JOBS,
         choices=("flops", "params", "bytes", "latency")),
    Flag("string", "source", None, "Images to choose from: a folder, an .npz, .npy or "
         ".tfrecord file, tfds:NAME, or digits.", _FILTER),
    Flag("string", "target", None, "Images of the task that comes after pre-training, "
         "in one of these forms; labels are not needed.", _FILTER),
    Flag("string", "encoder", None, "The model that gives features: a Keras "
         "Application, or a .keras file.", _FILTER),
    Flag("string", "layer", None, "The layer of a file as --encoder whose outputs are "
         "the features. Default: its outputs.", _FILTER),
    Flag("float", "keep", 0.12, "Share of the source to keep.", _FILTER, (1e-9, 1.0)),
    Flag("string", "method", "clusters", "How to rank: clusters (distance to clusters "
         "of the target), domain (a classifier of target against source), random.",
         _FILTER, choices=("clusters", "domain", "random")),
    Flag("integer", "clusters", None, "Clusters of the target. Default: 10.", _FILTER,
         _POSITIVE),
    Flag("integer", "image_size", None, "Shrink images to this height and width first, "
         "for pre-training at low resolution.", _FILTER, (1, 4096)),
    Flag("string", "cache_dir", None, "Folder that keeps features for the next call.",
         _FILTER),
    Flag("bool", "debug", False, "Show the traceback of an error.", _ALL),
)  # fmt: skip
