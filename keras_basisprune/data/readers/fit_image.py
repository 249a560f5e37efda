"""Brings one image to the wanted size and number of channels."""

import numpy as np

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow


def fit_image(image, size, channels):
    """Resizes an image and gives it the wanted number of channels.

    Grey is repeated to any number of channels, RGB becomes grey by its luminance, a
    fourth channel (alpha) is dropped if one or three are wanted. Resizing is
    bilinear with antialiasing (Pillow's), without cropping, and in 8 bits for 8-bit
    images, so that their pixels remain whole numbers.

    Args:
        image: uint8 or float32 array in [0, 255] of shape `(height, width)` or
            `(height, width, channels)`.
        size: `(height, width)`, or `None` to keep the size.
        channels: int, the number of channels of the result.

    Returns:
        float32 array in [0, 255] of shape `(height, width, channels)`.

    Raises:
        ImportError: Pillow is needed to resize and is not installed.
        ValueError: the channels cannot be converted.
    """
    image = image[..., None] if image.ndim == 2 else image
    given = image.shape[-1]
    if given == 4 and channels in (1, 3):
        image = image[..., :3]
    if image.shape[-1] == 3 and channels == 1:
        image = (image @ LUMINANCE)[..., None]
    if image.shape[-1] not in (1, channels):
        raise ValueError(
            f"Expected images that can be brought to `channels`={channels}: grey, RGB "
            f"or with as many channels, channels last. Received: an image of shape "
            f"{image.shape[:2] + (given,)}. Pass channels={given}, or arrays of shape "
            "(n, height, width, channels)."
        )
    if size is not None and image.shape[:2] != size:
        image = _resize(image, size)
    image = image.astype(np.float32)
    return np.repeat(image, channels, axis=-1) if image.shape[-1] == 1 else image


def _resize(image, size):
    try:
        import PIL.Image
    except ImportError as error:
        raise ImportError(
            "Resizing images needs Pillow, which is not installed. "
            "Run: pip install pillow"
        ) from error
    bilinear = PIL.Image.Resampling.BILINEAR  # antialiases when shrinking
    rgb = image.dtype == np.uint8 and image.shape[-1] == 3  # in one go, else by channel
    planes = [image] if rgb else np.moveaxis(image, -1, 0)
    planes = [PIL.Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    planes = [np.asarray(p.resize((size[1], size[0]), bilinear)) for p in planes]
    if rgb:
        return planes[0]
    return np.clip(np.stack(planes, axis=-1), image.min(), image.max())  # of rounding
