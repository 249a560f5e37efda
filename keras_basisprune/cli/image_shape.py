"""The shape of images for a model."""


def image_shape(flags, model, needed=True) -> tuple | None:
    """Returns the shape of images for a model, which may accept any size.

    Args:
        flags: The parsed `absl.flags.FlagValues`, whose `--input_size` replaces unknown
            sizes.
        model: The `keras.Model`.
        needed: Whether the model must accept images like those of `--data`.

    Returns:
        `(height, width, channels)`; `None` for a model with other inputs, if images are
        not `needed`.

    Raises:
        ValueError: If the model doesn't accept such images, accepts any size and there
            is no `--input_size`, or has another size than that.
    """
    shape = checked_size(flags, model)
    if shape is None and needed:
        shapes = [tuple(tensor.shape[1:]) for tensor in _inputs(model)]
        raise ValueError(
            "Expected --model to take images of shape (height, width, channels), as "
            f"--data holds them. Received: a model with inputs of the shapes {shapes}."
        )
    if shape is not None and None in shape:
        raise ValueError(
            "Expected --input_size, since --model takes images of any size. Received: "
            "none. Pass the size that it was trained with, such as --input_size=96."
        )
    return shape


def checked_size(flags, model) -> tuple | None:
    """Returns the shape of a model's images, after a check of `--input_size`.

    Returns:
        `(height, width, channels)`, with `None` for unknown sizes; `None` for a model
        with other inputs.

    Raises:
        ValueError: If `--input_size` does not fit the model.
    """
    size, inputs = flags.input_size, _inputs(model)
    shape = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else ()
    if len(shape) != 3 or shape[2] is None:
        if size is not None:
            raise ValueError(
                "Expected no --input_size for a model that takes other inputs than "
                f"images. Received: --input_size={size}. Leave it out."
            )
        return None
    if size is not None and any(own not in (None, size) for own in shape[:2]):
        raise ValueError(
            f"Expected no --input_size for a model of images of shape {shape}. "
            f"Received: --input_size={size}. Leave it out."
        )
    return (shape[0] or size, shape[1] or size, shape[2])


def _inputs(model) -> list:
    return getattr(model, "inputs", None) or []  # a subclassed model has none
