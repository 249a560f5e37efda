"""What each command of the command line does."""

import contextlib
import os
import pathlib

import keras
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from keras_basisprune.application import application, application_names
from keras_basisprune.compress import SearchOptions
from keras_basisprune.compress import compress as compress_model
from keras_basisprune.data import load_data
from keras_basisprune.export import export_saved_model, export_tflite
from keras_basisprune.files import save_model, write_text
from keras_basisprune.measure import cost, describe
from keras_basisprune.measure.latency import latency
from keras_basisprune.methods import convert
from keras_basisprune.recover import Recovery
from keras_basisprune.report import write_report
from keras_basisprune.search.run_folder import RunFolder
from keras_basisprune.training.augmentation import augmentation


def inspect(flags, console):
    """Prints what `convert` makes of each layer, or why it leaves it alone."""
    model = _load(flags, console, weights=flags.weights)
    rank = flags.rank
    if rank is not None and (rank > 1 or rank == int(rank)):
        rank = int(rank)
    images = None
    if flags.data is not None:
        images = _images(flags, console, model.input_shape[1:]).train[0]
    with _busy(console, "Decomposing"):
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
        f"{after:,} after folding ({100 * (1 - after / before):.1f} % removed)."
    )


def compress(flags, console):
    """Transfers if needed, makes small within the budget, writes all files."""
    keras.utils.set_random_seed(flags.seed)
    if flags.data is None:
        raise ValueError(
            "Expected --data: digits, tfds:NAME, a folder of images per class, or an "
            ".npz file. Received: none. compress takes its bases of these images."
        )
    if flags.model in application_names():
        model, data = _transferred(flags, console)
    else:
        model = _load(flags, console)
        data = _images(flags, console, model.input_shape[1:])
    console.print("Looking for the smallest network within the budget:")
    folder = _folder(flags)
    test = data.test if len(data.test[1]) else None
    result = compress_model(
        model,
        data.train,
        data.validation,
        flags.max_drop,
        flags.objective,
        flags.methods,
        _recovery(flags),
        output_dir=folder,
        seed=flags.seed,
        test=test,
        search=_search(flags),
        callbacks=_tensorboard(flags),
    )
    with _busy(console, "Writing files"):
        save_model(model, folder / "original.keras")
        records = _exports(flags, result.model, folder, data.train[0])
    for record in records:
        if record.in_float:
            _say(record.in_float, console)
    write_text(folder / "report.txt", f"{result.report}\n")
    console.print(escape(f"\n{result.report}\n"), highlight=False)
    if result.details["certainty"]:
        console.print(f"{result.details['certainty']}\n", highlight=False)
    if not result.met_budget:
        console.print(
            "The accuracy budget could not be met: small.keras is the original, folded."
        )
    _list_files(folder, console)
    _say(f"Report: {folder / 'report.html'}", console)


def report(flags, console):
    """Writes report.html anew."""
    _say(f"Report: {write_report(flags.output_dir)}", console)


def _recovery(flags):
    """How networks are trained after each cut; `None` for not at all."""
    if flags.recover == "none":
        return None
    return Recovery(
        flags.recover,
        flags.epochs,
        flags.learning_rate,
        flags.batch_size,
        augmentation(
            flags.flip, flags.shift, flags.zoom, flags.contrast, flags.brightness
        ),
        temperature=flags.temperature,
        seed=flags.seed,
    )


def _search(flags) -> SearchOptions:
    return SearchOptions(
        flags.samples,
        flags.rounds,
        flags.distill,
        flags.compensate,
        flags.round_to,
        flags.augment_fit,
        flags.margin,
    )


def _tensorboard(flags):
    """The callback, if it was asked for."""
    if flags.tensorboard is None:
        return []
    return [keras.callbacks.TensorBoard(flags.tensorboard, histogram_freq=1)]


def export(flags, console):
    """Writes LiteRT files and a SavedModel of a `.keras` file."""
    model = _load(flags, console, weights=flags.weights)
    images = None
    if flags.data is not None:
        images = _images(flags, console, model.input_shape[1:]).train[0]
    folder = _folder(flags)
    with _busy(console, "Exporting"):
        records = _exports(flags, model, folder, images)
    for record in records:
        console.print(escape(str(record)), highlight=False)
    _list_files(folder, console)


def measure(flags, console):
    """Prints parameters, FLOPs, bytes and milliseconds."""
    if flags.model.endswith(".tflite"):
        model = flags.model
        if not os.path.isfile(model):
            raise ValueError(f"Expected --model to be a file. Received: {model}.")
        console.print(f"{os.path.getsize(model):,} bytes")
    else:
        model = _load(flags, console, weights=flags.weights)
        console.print(escape(str(cost(model))), highlight=False)
    with _busy(console, "Timing"):
        record = latency(model, runs=flags.runs)
    console.print(escape(str(record)), highlight=False)


def _load(flags, console, weights=None):
    name = flags.model
    if name in application_names():
        size = flags.input_size or 96
        weights = None if weights in (None, "none") else weights
        with _busy(console, f"Building {name}"):
            build = getattr(keras.applications, name)
            return build(
                include_top=False, weights=weights, input_shape=(size, size, 3)
            )
    if not os.path.isfile(name):
        raise ValueError(
            "Expected --model to be a .keras file or a Keras Application. Received: "
            f"{name}, which is neither a file nor one of {application_names()}."
        )
    with _busy(console, f"Loading {name}"):
        return keras.models.load_model(name)


def _transferred(flags, console):
    """A Keras Application, trained on the data; kept for a call that goes on."""
    size = flags.input_size or 96
    data = _images(flags, console, (size, size, 3))
    names = ("model", "weights", "data", "input_size", "max_images", "batch_size")
    names += ("finetune_epochs", "seed")
    folder = RunFolder(
        _folder(flags) / "transfer", {name: flags[name].value for name in names}
    )
    folder.remember("classes", len(data.class_names))
    return folder.recall_model("model", lambda: _trained(flags, console, data)), data


def _trained(flags, console, data):
    weights, shape = flags.weights or "imagenet", data.train[0].shape[1:]
    with _busy(console, f"Building {flags.model}"):
        weights = None if weights == "none" else weights
        model = application(flags.model, weights, shape, len(data.class_names))
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


def _images(flags, console, shape):
    with _busy(console, f"Reading {flags.data}"):
        data = load_data(
            flags.data,
            image_size=tuple(shape[:2]),
            channels=shape[2],
            seed=flags.seed,
            max_images=flags.max_images,
        )
    console.print(escape(str(data)), highlight=False)
    return data


def _exports(flags, model, folder, images):
    records = []
    for kind in flags.quantization:
        path = folder / f"small_{kind}.tflite"
        needed = images if kind == "int8" else None
        samples = None if images is None else images[:32]
        records.append(export_tflite(model, path, kind, needed, samples=samples))
    if flags.saved_model:
        export_saved_model(model, folder / "saved_model", overwrite=True)
    return records


@contextlib.contextmanager
def _busy(console, text):
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(escape(text), total=None)
        yield


def _folder(flags):
    folder = pathlib.Path(flags.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _list_files(folder, console):
    console.print(f"Files in {folder}:")
    for path in sorted(folder.iterdir()):
        size = sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
        console.print(escape(f"  {path.name:<28} {size:>12,} bytes"), highlight=False)


def _say(text, console):
    """One line, however long."""
    console.print(escape(text), highlight=False, soft_wrap=True)
