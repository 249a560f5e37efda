"""Small images of shapes, with everything that can be asked about them."""

import dataclasses

import numpy as np

SHAPES = ("disc", "square", "cross")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Images of shapes on a noisy ground.

    Attributes:
        images: Array of shape `(n, size, size, 1)`, in [0, 1].
        classes: Integers of shape `(n,)`: the shape that was drawn last, of `SHAPES`.
        boxes: Array of shape `(n, 4)`: its centre, width and height, in [0, 1].
        maps: Integers of shape `(n, size, size)`: 0 for the ground, else the shape + 1.
        present: Array of shape `(n, 3)` of 0 and 1: which shapes are there.
    """

    images: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray
    maps: np.ndarray
    present: np.ndarray


def draw_shapes(count, size=32, most=1, seed=0) -> Drawn:
    """Draws images with 1 to `most` shapes each."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0.2, 0.08, (count, size, size, 1)).astype("float32")
    maps = np.zeros((count, size, size), "int64")
    classes, boxes = np.zeros(count, "int64"), np.zeros((count, 4), "float32")
    present = np.zeros((count, len(SHAPES)), "int64")
    for number in range(count):
        for _ in range(rng.integers(1, most + 1)):
            kind = rng.integers(len(SHAPES))
            half = rng.uniform(0.12, 0.22) * size
            y, x = rng.uniform(half, size - 1 - half, 2)
            inside = _mask(kind, y, x, half, size)
            images[number, inside] += rng.uniform(0.4, 0.7)
            maps[number, inside] = kind + 1
            classes[number], present[number, kind] = kind, 1
            boxes[number] = np.array([x, y, 2 * half, 2 * half]) / size
    return Drawn(np.clip(images, 0, 1), classes, boxes, maps, present)


def draw_faces(count, size=32, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Draws discs with two eyes and a mouth.

    Returns:
        A pair of images of shape `(n, size, size, 1)`, in [0, 1], and the positions of
        eyes and mouth, of shape `(n, 6)`: x and y of each, as shares of the size.
    """
    rng = np.random.default_rng(seed)
    images = rng.normal(0.2, 0.05, (count, size, size, 1)).astype("float32")
    points = np.zeros((count, 3, 2), "float32")
    for number in range(count):
        radius = rng.uniform(0.28, 0.42) * size
        y, x = rng.uniform(radius, size - 1 - radius, 2)
        images[number, _mask(0, y, x, radius, size)] += 0.6
        angle, apart = rng.uniform(-0.5, 0.5), rng.uniform(0.4, 0.55) * radius
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        told = np.array([[-apart, -apart], [apart, -apart], [0.0, apart]]) @ turn.T
        for place, (dx, dy) in enumerate(told):
            images[number, _mask(0, y + dy, x + dx, 0.05 * size, size)] = 0.1
            points[number, place] = (x + dx) / size, (y + dy) / size
    return np.clip(images, 0, 1), points.reshape(count, -1)


def _mask(kind, y, x, half, size):
    rows, columns = np.mgrid[:size, :size]
    down, right = np.abs(rows - y), np.abs(columns - x)
    if SHAPES[kind] == "disc":
        return down**2 + right**2 <= half**2
    inside = (down <= half) & (right <= half)
    if SHAPES[kind] == "square":
        return inside
    return inside & ((down <= half / 3) | (right <= half / 3))
