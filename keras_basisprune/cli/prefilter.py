"""The command `prefilter`: which part of a source to pre-train on."""

import contextlib
import pathlib

import keras
from rich.markup import escape

from keras_basisprune.cli.named_model import named_model
from keras_basisprune.data import application, contact_sheet, select_relevant
from keras_basisprune.data.application import application_names
from keras_basisprune.utils.check_path import check_paths
from keras_basisprune.utils.files import staged

_LIST, _SCORES, _SHEET = "kept.txt", "relevance.json", "contact_sheet.png"


def prefilter(flags, console):
    """Writes which images of --source are like those of --target."""
    folder = pathlib.Path(flags.output_dir)
    check_paths("--output_dir", folder, [_LIST, _SCORES, _SHEET])
    with _flags_in_errors(), console.status(escape(f"Loading {flags.encoder}")):
        encoder = _encoder(flags)
    with _flags_in_errors():
        relevance = select_relevant(
            flags.source,
            flags.target,
            encoder,
            keep=flags.keep,
            method=flags.method,
            clusters=flags.clusters,
            image_size=flags.image_size,
            seed=flags.seed,
            batch_size=flags.batch_size if flags["batch_size"].present else None,
            cache_dir=flags.cache_dir,
        )
    contact_sheet(flags.source, relevance, folder / _SHEET)
    relevance.save(folder / _SCORES)
    kept = relevance.files or relevance.indices.tolist()
    text = "".join(f"{one}\n" for one in kept)
    with staged(folder / _LIST) as stage:
        stage.write_bytes(text.encode("utf-8", "surrogateescape"))
    total = len(relevance.scores)
    lines = [f"{len(kept):,} of {total:,} images kept, by {relevance.method}."]
    if relevance.skipped:
        count, first = len(relevance.skipped), relevance.skipped[0]
        lines.append(f"Unreadable files that were left out: {count:,}, such as {first}")
    what = "names" if relevance.files else "positions"
    lines += [
        f"  {folder / _LIST}  their {what}, best first",
        f"  {folder / _SCORES}  scores of all images",
        f"  {folder / _SHEET}  the best and the worst images",
    ]
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)


def _encoder(flags):
    """Returns the model that gives features; preprocessing is part of it."""
    name, size = flags.encoder, flags.input_size or 96
    if name in application_names():
        weights = flags.weights or "imagenet"
        model = application(
            name,
            weights=None if weights == "none" else weights,
            input_shape=(size, size, 3),
            classes=2,
        )
        return keras.Model(model.input, model.get_layer("head_pool").output)
    flags.model = name
    model = named_model(flags)
    if flags.layer is None:
        return model
    names = [layer.name for layer in model.layers]
    if flags.layer not in names:
        raise ValueError(
            f"Expected --layer to be a layer of {name}. Received: {flags.layer}. It "
            f"has {', '.join(names)}."
        )
    return keras.Model(model.inputs, model.get_layer(flags.layer).output)


@contextlib.contextmanager
def _flags_in_errors():
    """Names flags, not arguments, in errors."""
    try:
        yield
    except ValueError as error:
        text = str(error).replace("--model", "--encoder")
        for name in ("source", "target", "encoder", "clusters", "cache_dir", "weights"):
            text = text.replace(f"`{name}`", f"--{name}")
            text = text.replace(f"Received: {name}=", f"Received: --{name}=")
        raise ValueError(text) from error
