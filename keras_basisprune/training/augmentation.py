"""Random changes of the images that a network is trained on."""

import keras

_FLIPS = ("none", "horizontal", "vertical", "horizontal_and_vertical")
_PIXELS = (0, 255)
# What 0.1 means for each share, for messages.
_MEANINGS = {
    "shift": "0.1 is a tenth of height and width",
    "zoom": "0.1 shows a tenth more or less of height and width",
    "contrast": "0.1 makes differences a tenth smaller or larger",
    "brightness": "0.1 makes pixels darker or lighter by a tenth of 255",
}


def augmentation(flip="none", shift=0.0, zoom=0.0, contrast=0.0, brightness=0.0):
    """Makes the `augment` of a `Recovery`: Keras layers that change images at random.

    Images are mirrored, shifted, zoomed, and changed in contrast and brightness, in
    this order. Pixels are in [0, 255], as `load_data` returns them, and stay in it.
    Areas that a shift or zoom uncovers are filled with a reflection of the image.

    Args:
        flip: `"none"`, `"horizontal"`, `"vertical"` or `"horizontal_and_vertical"`.
        shift: Float in [0, 1), the largest shift up, down, left and right, as a share
            of height and width.
        zoom: Float in [0, 1), how much more or less of the image is shown at most.
        contrast: Float in [0, 1), the largest relative change of the differences to the
            mean of an image.
        brightness: Float in [0, 1), how much darker or lighter pixels become at most,
            as a share of 255.

    Returns:
        A `keras.Layer`, or `None` if nothing is changed.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> Recovery(epochs=20, augment=augmentation("horizontal", 0.1, contrast=0.4))
    """
    if flip not in _FLIPS:
        raise ValueError(f"Expected `flip` to be one of {_FLIPS}. Received: {flip!r}.")
    shares = (shift, zoom, contrast, brightness)
    for name, value in zip(_MEANINGS, shares, strict=True):
        if not 0 <= value < 1:
            raise ValueError(
                f"Expected `{name}` to be a float in [0, 1). Received: "
                f"{name}={value}. {_MEANINGS[name]}."
            )
    # Names are part of the config by which an interrupted search is recognized.
    # One RandomFlip of both axes would mirror both or none.
    layers = [
        keras.layers.RandomFlip(axis, name=f"flip_{axis}")
        for axis in flip.split("_and_")
        if axis != "none"
    ]
    if shift:
        layers.append(
            keras.layers.RandomTranslation(shift, shift, "reflect", name="shift")
        )
    if zoom:
        layers.append(keras.layers.RandomZoom(zoom, name="zoom"))
    if contrast:
        both = (contrast, contrast)  # a single number would only increase contrast
        layers.append(keras.layers.RandomContrast(both, _PIXELS, name="contrast"))
    if brightness:
        layers.append(
            keras.layers.RandomBrightness(brightness, _PIXELS, name="brightness")
        )
    return keras.layers.Pipeline(layers, name="augmentation") if layers else None
