"""A picture of the most and the least relevant images of a source."""

import numpy as np

from keras_basisprune.data.readers.fit_image import fit_image
from keras_basisprune.data.relevance.relevance import Relevance
from keras_basisprune.data.relevance.streams.image_files import ImageFiles
from keras_basisprune.data.relevance.streams.open_stream import open_stream
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.types import Data, Path

_COLUMNS, _GAP, _LINE = 8, 4, 16  # images per row; pixels between them, and of text


def contact_sheet(
    source: Data,
    relevance: Relevance,
    path: Path,
    *,
    count: int = 32,
    image_size: int = 64,
) -> None:
    """Writes a PNG with the best and the worst images of a source, and their scores.

    Image files are read by their names; of all other sources, one pass is made.

    Args:
        source: What `select_relevant` was called with.
        relevance: What it returned.
        path: Path of the file, which appears complete or not at all.
        count: Integer, the number of the best, and of the worst images; at most half of
            the source.
        image_size: Integer, height and width of each image in pixels.

    Raises:
        ValueError: An argument is not valid, or the source has another number of images
            than `relevance`.

    Example:

    >>> kbp.data.contact_sheet("photos", relevance, "contact_sheet.png")
    """
    from PIL import Image

    check_kind("relevance", relevance, Relevance, "Call `select_relevant`.")
    path = check_path("path", path, "file")
    count = check_whole("count", count, most=1024)
    size = check_whole("image_size", image_size, 8, 1024)
    total = len(relevance.scores)
    count = min(count, max(1, total // 2))
    order = relevance.order
    wanted = {"best": order[:count], "worst": order[::-1][:count][: total - count]}
    wanted = {title: chosen for title, chosen in wanted.items() if len(chosen)}
    positions = np.concatenate(list(wanted.values()))
    images = _images(open_stream("source", source, None), relevance, positions)
    images = _as_pixels(images, size)
    blocks = [
        _block(title, chosen, relevance, images, size)
        for title, chosen in wanted.items()
    ]
    sheet = Image.fromarray(np.concatenate(blocks))
    with staged(path) as stage:
        sheet.save(stage, format="PNG")


def _images(stream, relevance, positions):
    """Returns a dict of position to image."""
    if isinstance(stream, ImageFiles) and relevance.names:
        names = {position: relevance.names[position] for position in positions}
        return {p: stream.image(name) for p, name in names.items()}
    wanted, found, start = set(positions.tolist()), {}, 0
    for arrays, _ in stream.read([]):
        for place, image in enumerate(arrays[0]):
            if start + place in wanted:
                found[start + place] = np.array(image)
        start += len(arrays[0])
    if start != len(relevance.scores):
        raise ValueError(
            "Expected `source` to be that of `relevance`. Received: "
            f"{start} images and {len(relevance.scores)} scores. Pass the same source."
        )
    return found


def _as_pixels(images, size):
    """Returns RGB images of uint8, in one size."""
    low = min(float(image.min()) for image in images.values())
    high = max(float(image.max()) for image in images.values())
    if low >= 0 and high <= 255 and (high > 1 or _whole(images)):
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    pixels = {}
    for position, image in images.items():
        share = (image.astype(np.float32) - low) / max(high - low, 1e-12)
        image = (255 * share[..., :3]).round().astype(np.uint8)
        pixels[position] = fit_image(image, (size, size), 3).astype(np.uint8)
    return pixels


def _whole(images) -> bool:
    return all(image.dtype.kind in "iu" for image in images.values())


def _block(title, chosen, relevance, images, size):
    """Returns an array with a title and images above their scores."""
    from PIL import Image, ImageDraw

    cell = size + _GAP
    rows = -(-len(chosen) // _COLUMNS)
    shape = (_COLUMNS * cell + _GAP, _LINE + rows * (cell + _LINE))
    sheet = Image.new("RGB", shape, "white")
    draw = ImageDraw.Draw(sheet)
    text = f"The {len(chosen)} {title} of {len(relevance.scores):,} images, by score"
    draw.text((_GAP, 2), text, fill="black")
    for number, position in enumerate(chosen):
        x = _GAP + number % _COLUMNS * cell
        y = _LINE + number // _COLUMNS * (cell + _LINE)
        sheet.paste(Image.fromarray(images[position]), (x, y))
        score = f"{relevance.scores[position]:.3g}"
        draw.text((x, y + size), score, fill="black")
    return np.asarray(sheet)
