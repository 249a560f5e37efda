"""The command `diff`: a task as a sparse difference to a network."""

import dataclasses
import os

import keras
from rich.markup import escape

from keras_basisprune.cli._steps import augment, print_line, read_images, read_model
from keras_basisprune.cli.check_inputs import check_inputs
from keras_basisprune.cli.image_shape import image_shape
from keras_basisprune.measure import accuracy
from keras_basisprune.methods import DiffOptions, diff_pruning, new_head
from keras_basisprune.training.check_classifier import check_classifier
from keras_basisprune.utils.check_path import check_path


def diff(flags, console):
    """Learns a task as a difference to a network, and writes it."""
    check_inputs(flags)
    check_path("--output", flags.output, "file")
    model = read_model(flags, console)
    check_classifier("--model", model)
    data = read_images(flags, console, image_shape(flags, model))
    classes = len(data.class_names)
    keras.utils.set_random_seed(flags.seed)
    if model.output_shape[-1] != classes:
        console.print(f"New head for {classes} classes.")
        model = new_head(model, classes)
    config = DiffOptions(
        epochs=flags.epochs,
        fixed_epochs=flags.epochs,
        learning_rate=flags.learning_rate,
        fixed_rate=flags.learning_rate,
        batch_size=flags.batch_size,
        augment=augment(flags),
        seed=flags.seed,
    )
    validation = data.validation if len(data.validation[1]) else None
    delta = diff_pruning(
        model, data.train, validation, share=flags.share, config=config
    )
    names = {**delta.metadata, "class_names": list(data.class_names)}
    delta = dataclasses.replace(delta, metadata=names)
    delta.save(flags.output)
    console.print(escape(str(delta)), highlight=False)
    network = delta.apply(model)
    for part in ("validation", "test"):
        if len(getattr(data, part)[1]):
            share = accuracy(network, getattr(data, part))
            console.print(f"Accuracy on {part} images: {share:.2%}", highlight=False)
    size = os.path.getsize(flags.output)
    print_line(f"Delta: {flags.output}, {size:,} bytes", console)
