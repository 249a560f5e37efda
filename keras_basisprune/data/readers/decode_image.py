"""Reads one image file."""

import numpy as np


def decode_image(path) -> np.ndarray:
    """Reads an image file as `load_data` does.

    Args:
        path: The `pathlib.Path` of the file.

    Returns:
        uint8 array, or float32 in [0, 255] for 16-bit images, of shape
        `(height, width)` or `(height, width, 3)`.

    Raises:
        OSError: The file can't be read, or holds no such image.
    """
    import PIL.Image
    import PIL.ImageOps

    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise OSError(f"{path}: no regular file")
    try:
        with PIL.Image.open(path) as image:
            image = PIL.ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16"):
                return np.asarray(image).astype(np.float32) / np.float32(257)
            if image.mode in ("I", "F"):
                raise OSError(f"32-bit pixels (mode {image.mode}) have no known range")
            grey = image.mode in ("1", "L", "LA", "La")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen different classes
        raise OSError(f"{path}: {error}") from error
