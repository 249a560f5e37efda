"""Data, order of batches and result rows, shared by both sides of the comparison."""

import json
import os
import time

import numpy as np

EPOCHS, BATCH, RATE, IMAGES, TESTS = 5, 32, 1e-3, 3000, 5000
REPEATS = 5  # of the surgery; seconds are medians


def load(path: str, recovery: int | None = None) -> tuple:
    """Reads images for the recovery, and up to 5,000 for the test.

    Args:
        path: Path of an `.npz` with `x_train`, `y_train`, `x_test`, `y_test`.
        recovery: Integer, number of training images to draw; `None` for all.

    Returns:
        `(x, y), (x_test, y_test)`, images as uint8 in NHWC, labels of shape `(n,)`.
    """
    with np.load(path) as data:
        x, y = data["x_train"], data["y_train"].ravel()
        x_test, y_test = data["x_test"], data["y_test"].ravel()
    # Files may be sorted by class.
    chosen = np.random.default_rng(0).permutation(len(x))[:recovery]
    tested = np.random.default_rng(0).permutation(len(x_test))[:TESTS]
    return (x[chosen], y[chosen]), (x_test[tested], y_test[tested])


def orders(count: int) -> list[np.ndarray]:
    """Returns the order of the training images in every epoch of the recovery."""
    rng = np.random.default_rng(1)
    return [rng.permutation(count) for _ in range(EPOCHS)]


def add_row(path: str, **row) -> None:
    """Adds a result to a JSON file of rows and prints it."""
    rows = []
    if os.path.exists(path):
        with open(path) as file:
            rows = json.load(file)
    draft = f"{path}.part"
    with open(draft, "w") as file:
        json.dump([*rows, row], file, indent=1)
    os.replace(draft, path)
    print(json.dumps(row), flush=True)


def timed(function, repeats: int) -> tuple:
    """Returns a function's last result, and the medians of its seconds.

    Returns:
        `(result, seconds)`, the latter an array of wall time and processor time.
    """
    seconds = []
    for _ in range(repeats):
        start = clocks()
        result = function()
        seconds.append(clocks() - start)
    return result, np.median(seconds, axis=0)


def clocks() -> np.ndarray:
    """Returns the wall time and the processor time of this process, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])
