"""Steps that several commands have in common."""

import contextlib

from rich.markup import escape

from keras_basisprune.cli.image_shape import checked_size
from keras_basisprune.cli.named_model import named_model
from keras_basisprune.data import load_data
from keras_basisprune.data.application import application_names
from keras_basisprune.training.augmentation import augmentation


def read_model(flags, console, weights=None):
    """Returns the model that `--model` names, with the input of `--input_size`."""
    verb = "Building" if flags.model in application_names() else "Loading"
    with spinner(console, f"{verb} {flags.model}"):
        model = named_model(flags, weights)
    checked_size(flags, model)
    return model


def read_images(flags, console, shape):
    """Returns the `ImageData` that `--data` names, and prints what it is.

    Args:
        flags: The parsed `absl.flags.FlagValues`.
        console: A `rich.console.Console`.
        shape: Shape `(height, width, channels)` of each image.
    """
    with spinner(console, f"Reading {flags.data}"):
        try:
            data = load_data(
                flags.data,
                image_size=tuple(shape[:2]),
                channels=shape[2],
                seed=flags.seed,
                max_images=flags.max_images,
            )
        except ValueError as error:
            text = str(error).replace("`", "").replace("max_images", "--max_images")
            text = text.replace("spec=", "--data=").replace(" spec ", " --data ")
            raise ValueError(text) from error
    console.print(escape(str(data)), highlight=False)
    return data


def augment(flags):
    """Returns the augmentation that the flags ask for; `None` for none."""
    return augmentation(
        flags.flip, flags.shift, flags.zoom, flags.contrast, flags.brightness
    )


@contextlib.contextmanager
def spinner(console, text):
    """Shows a text while something is done."""
    with console.status(escape(text)):
        yield


def print_line(text, console):
    """Prints a line without wrapping it."""
    console.print(escape(text), highlight=False, soft_wrap=True)
