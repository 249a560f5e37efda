"""Times `svd_basis` against `numpy.linalg.svd` on all kernels of VGG16 and ResNet50.

    python -m benchmarks.svd_basis
    python -m benchmarks.svd_basis --weights=mine.keras --weights=other.weights.h5

Kernels are random (he_normal) unless `--weights` names files. Each kernel is decomposed
by both, one right after the other, so that other load on the machine affects both
alike; the fastest of `--repeats` passes counts, kernel by kernel.
"""

import dataclasses
import os
import pathlib
import tempfile
import time
import zipfile

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from keras_basisprune.linalg.svd_basis import svd_basis

_WEIGHTS = flags.DEFINE_multi_string(
    "weights", [], "`.keras` or `.weights.h5` files to take kernels from, if any."
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Passes over all kernels.", lower_bound=1)


@dataclasses.dataclass(frozen=True)
class Row:
    """Seconds of both, and the worst errors of `svd_basis`, over some kernels."""

    name: str
    kernels: int
    ours: float
    numpy: float
    orthonormality: float
    reconstruction: float


def application_kernels(name, seed=0):
    """Returns the kernel matrices of a Keras Application, he_normal."""
    import keras

    model = getattr(keras.applications, name)(weights=None, include_top=False)
    keras.utils.set_random_seed(seed)
    kernels = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = keras.initializers.HeNormal()(layer.kernel.shape)
            kernels.append(_matrix(keras.ops.convert_to_numpy(kernel)))
    return kernels


def file_kernels(path):
    """Returns all kernel matrices in a weights file: three dimensions or more."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                path = archive.extract("model.weights.h5", folder)
        found = []

        def visit(_, item):
            if isinstance(item, h5py.Dataset) and item.ndim >= 3 and item.shape[-1] > 1:
                found.append(_matrix(item[()].astype(np.float32)))

        with h5py.File(path) as file:
            file.visititems(visit)
    if not found:
        raise app.UsageError(f"Expected `--weights` to hold kernels. Received: {path}.")
    return found


def measure(name, kernels, repeats):
    """Times both functions on the kernels and checks what `svd_basis` returns."""
    ours, theirs = np.full((2, repeats, len(kernels)), np.inf)
    orthonormality = reconstruction = 0.0
    for repeat in range(repeats):
        for i, kernel in enumerate(kernels):
            start = time.perf_counter()
            basis = svd_basis(kernel)
            middle = time.perf_counter()
            np.linalg.svd(kernel, full_matrices=False)
            ours[repeat, i] = middle - start
            theirs[repeat, i] = time.perf_counter() - middle
            if repeat == 0:
                errors = _errors(kernel, basis)
                orthonormality = max(orthonormality, errors[0])
                reconstruction = max(reconstruction, errors[1])
    return Row(
        name,
        len(kernels),
        ours.min(axis=0).sum(),
        theirs.min(axis=0).sum(),
        orthonormality,
        reconstruction,
    )


def total(rows):
    """Returns the row of all kernels together."""
    return Row(
        "together",
        sum(row.kernels for row in rows),
        sum(row.ours for row in rows),
        sum(row.numpy for row in rows),
        max(row.orthonormality for row in rows),
        max(row.reconstruction for row in rows),
    )


def table(rows):
    """Returns the rows as a table."""
    result = Table()
    titles = ("network", "kernels", "svd_basis", "numpy svd", "ratio", "U", "rebuilt")
    for title in titles:
        side = "left" if title == "network" else "right"
        result.add_column(title, justify=side, overflow="fold")
    for row in rows:
        result.add_row(
            row.name,
            str(row.kernels),
            f"{row.ours:.3f} s",
            f"{row.numpy:.3f} s",
            f"{row.ours / row.numpy:.2f}",
            f"{row.orthonormality:.1e}",
            f"{row.reconstruction:.1e}",
        )
    return result


def main(_):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sets = {pathlib.Path(path).name: file_kernels(path) for path in _WEIGHTS.value}
    sets = sets or {n: application_kernels(n) for n in ("VGG16", "ResNet50")}
    rows = [measure(name, sets[name], _REPEATS.value) for name in sets]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    console = Console()
    console.print(table([*rows, total(rows)] if len(rows) > 1 else rows))
    console.print("U: largest |UᵀU - I|; rebuilt: largest relative Frobenius error.")
    console.print(
        f"{os.cpu_count()} cores, NumPy {np.__version__}, "
        f"{blas['name']} {blas['version']}",
        highlight=False,
    )


def _matrix(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


def _errors(matrix, basis):
    exact, (u, s, vt) = matrix.astype(np.float64), map(np.float64, basis)
    unit = np.max(np.abs(u.T @ u - np.eye(len(s))))
    size = np.linalg.norm(exact) or 1.0
    return unit, np.linalg.norm((u * s) @ vt - exact) / size


if __name__ == "__main__":
    app.run(main)
