"""The commands of the command line."""

import functools
import os
import pathlib

import keras
from rich.markup import escape

from keras_basisprune.cli._exporters import EXPORTERS, asked_for
from keras_basisprune.cli._steps import (
    print_line,
    read_images,
    read_model,
    spinner,
)
from keras_basisprune.cli.apply import apply  # noqa: F401
from keras_basisprune.cli.as_max_drop import as_max_drop
from keras_basisprune.cli.check_answers import check_answers
from keras_basisprune.cli.check_inputs import check_exports, check_inputs
from keras_basisprune.cli.class_names import class_names
from keras_basisprune.cli.compare import compare  # noqa: F401
from keras_basisprune.cli.diff import diff  # noqa: F401
from keras_basisprune.cli.evaluate import evaluate  # noqa: F401
from keras_basisprune.cli.image_shape import image_shape
from keras_basisprune.cli.named_metrics import named_metrics
from keras_basisprune.cli.prefilter import prefilter  # noqa: F401
from keras_basisprune.cli.search import search  # noqa: F401
from keras_basisprune.cli.search_flags import recovery, search_options
from keras_basisprune.cli.write_exports import write_exports
from keras_basisprune.data.application import application, application_names
from keras_basisprune.measure import cost, describe
from keras_basisprune.measure.latency import latency
from keras_basisprune.methods import convert
from keras_basisprune.report import write_report
from keras_basisprune.search.compress import compress as compress_model
from keras_basisprune.search.locked import locked
from keras_basisprune.search.result import FILES
from keras_basisprune.search.run_folder import RunFolder
from keras_basisprune.utils.check_path import check_paths
from keras_basisprune.utils.files import save_model, sweep, write_text

_FILES_OF_COMMAND = ("original.keras", "report.txt")  # besides FILES of `compress`


def inspect(flags, console):
    """Prints how `convert` decomposes each layer, or why it doesn't."""
    check_inputs(flags)
    model = read_model(flags, console, weights=flags.weights)
    rank = flags.rank
    if rank is not None and rank >= 1:
        rank = int(rank)
    images = None
    if flags.data is not None:
        images = read_images(flags, console, image_shape(flags, model)).train[0]
    with spinner(console, "Decomposing"):
        converted = convert(
            model,
            rank=rank,
            include=flags.include,
            exclude=flags.exclude,
            data=images,
            verbose=0,
        )
    described = describe(converted)
    console.print(escape(str(described)), soft_wrap=True, highlight=False)
    before = sum(layer.params[0] for layer in described.layers)
    after = sum(layer.params[1] for layer in described.layers)
    console.print(
        f"\n{len(described.decomposed)} layers decomposed, "
        f"{len(described.left_alone)} left alone. Kernels: {before:,} weights before, "
        f"{after:,} after folding ({100 * (1 - after / max(1, before)):.1f} % removed)."
    )


def compress(flags, console):
    """Trains an Application on the data if needed, compresses, writes all files."""
    check_inputs(flags)
    metrics = named_metrics(flags)
    keras.utils.set_random_seed(flags.seed)
    _check_writable(flags, *FILES, *_FILES_OF_COMMAND, "state/", "transfer/")
    if flags.model in application_names():
        model, data = _transfer_learned(flags, console)
    else:
        model = read_model(flags, console)
        check_answers(model)
        check_exports(flags, model)
        data = read_images(flags, console, image_shape(flags, model))
        check_answers(model, len(data.class_names))
    console.print("Looking for the smallest network within the budget:")
    folder = _folder(flags)
    test = data.test if len(data.test[1]) else None
    result = compress_model(
        model,
        data.train,
        data.validation,
        metric=metrics[0] if len(metrics) == 1 else metrics,
        mode=flags.mode,
        max_drop=as_max_drop(flags.max_drop),
        cost=flags.cost,
        methods=flags.methods,
        recover=recovery(flags),
        ship=None if flags.ship == "none" else flags.ship,
        epochs=flags.epochs if flags["epochs"].present else None,
        output_dir=folder,
        seed=flags.seed,
        test=test,
        time_limit=flags.time_limit,
        config=search_options(flags),
        callbacks=_tensorboard(flags),
        class_names=class_names(data, model),
        data_name=data.source,
        workers=flags.workers or 1,
    )
    exported = (row.file.rstrip("/") for row in EXPORTERS.values())
    sweep(folder, (*_FILES_OF_COMMAND, *exported))
    with spinner(console, "Writing files"):
        save_model(model, folder / "original.keras")
    write_text(folder / "report.txt", f"{result.report}\n")
    console.print(escape(f"\n{result.report}\n"), highlight=False)
    for text in (result.details["loss_statement"], result.details["class_warning"]):
        if text:
            console.print(f"{text}\n", highlight=False)
    if not result.met_budget:
        console.print(
            "The budget could not be met: small.keras is the original, folded."
        )
    if result.details["stopped"] == "interrupt":
        _list_files(folder, console)
        raise KeyboardInterrupt  # who interrupts does not wait for exports
    flags.formats = [form for form in flags.formats if form != flags.ship]  # is there
    with spinner(console, "Exporting"):  # last, so that a failure loses nothing
        shape = data.train[0].shape[1:] if None in model.input_shape[1:] else None
        labels = class_names(data, model)
        write_exports(flags, result.model, folder, data.train[0], shape, labels)
    _list_files(folder, console)
    print_line(f"Report: {folder / 'report.html'}", console)


def report(flags, console):
    """Writes report.html again."""
    print_line(f"Report: {write_report(flags.output_dir)}", console)


def _tensorboard(flags):
    """Returns a list with the TensorBoard callback, if there is a folder for it."""
    if flags.tensorboard is None:
        return []
    return [keras.callbacks.TensorBoard(flags.tensorboard, histogram_freq=1)]


def export(flags, console):
    """Writes LiteRT files and a SavedModel of a `.keras` file."""
    check_inputs(flags)
    _check_writable(flags)
    model = read_model(flags, console, weights=flags.weights)
    check_exports(flags, model)
    images, labels, shape = None, None, _shape_for_open_sizes(flags, model)
    if flags.data is not None:
        data = read_images(flags, console, image_shape(flags, model))
        images, labels = data.train[0], class_names(data, model)
    folder = pathlib.Path(flags.output_dir)
    with spinner(console, "Exporting"):
        records = write_exports(flags, model, folder, images, shape, labels)
    for record in records:
        console.print(escape(str(record)), highlight=False)
    _list_files(folder, console)


def measure(flags, console):
    """Prints parameters, FLOPs, bytes and milliseconds."""
    check_inputs(flags)
    shape = None
    if flags.model.endswith(".tflite"):
        model = flags.model
        if not os.path.isfile(model):
            raise ValueError(f"Expected --model to be a file. Received: {model}.")
        text = f"{os.path.getsize(model):,} bytes"
    else:
        model = read_model(flags, console, weights=flags.weights)
        shape = _shape_for_open_sizes(flags, model)
        text = str(cost(model, input_shape=shape))
    with spinner(console, "Timing"):
        record = latency(model, runs=flags.runs, input_shape=shape)
    console.print(escape(f"{text}\n{record}"), highlight=False)


def _shape_for_open_sizes(flags, model):
    """Returns the shape by --input_size, if the model accepts images of any size."""
    shape = image_shape(flags, model, needed=False)
    return shape if shape and None in model.inputs[0].shape[1:] else None


def _transfer_learned(flags, console):
    """Returns a Keras Application trained on the data; stores it for a resumed call."""
    size = flags.input_size or 96
    data = read_images(flags, console, (size, size, 3))
    names = ("model", "weights", "data", "input_size", "max_images", "batch_size")
    names += ("finetune_epochs", "seed")
    place = _folder(flags) / "transfer"
    with locked(place):
        folder = RunFolder(place, {name: flags[name].value for name in names})
        folder.remember("classes", len(data.class_names))
        make = functools.partial(_trained, flags, console, data)
        return folder.recall_model("model", make), data


def _trained(flags, console, data):
    weights, shape = flags.weights or "imagenet", data.train[0].shape[1:]
    with spinner(console, f"Building {flags.model}"):
        weights = None if weights == "none" else weights
        model = application(
            flags.model,
            weights=weights,
            input_shape=shape,
            classes=len(data.class_names),
        )
    steps = max(1, flags.finetune_epochs * -(-len(data.train[1]) // flags.batch_size))
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    if flags.finetune_epochs:
        console.print("Training on the data:")
        model.fit(
            *data.train,
            validation_data=data.validation,
            epochs=flags.finetune_epochs,
            batch_size=flags.batch_size,
        )
    return model


def _check_writable(flags, *names):
    """Raises, before anything is done, if files can't be written or would be lost."""
    folder = pathlib.Path(flags.output_dir)
    rows = asked_for(flags)
    check_paths("--output_dir", folder, [*names, *(row.file for row in rows)])
    for row in rows:
        others = row.foreign(folder / row.file) if row.foreign else []
        if others:
            raise ValueError(
                f"Expected {folder / row.file} to hold nothing but what this command "
                "wrote, or not to exist, since it will be replaced. Received: "
                f"{others[0]!r} in it. Move that, choose another --output_dir, or "
                f"leave {row.name} out of --formats."
            )


def _folder(flags):
    folder = pathlib.Path(flags.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _list_files(folder, console):
    console.print(f"Files in {folder}:")
    for path in sorted(folder.iterdir()):
        size = sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
        console.print(escape(f"  {path.name:<28} {size:>12,} bytes"), highlight=False)
