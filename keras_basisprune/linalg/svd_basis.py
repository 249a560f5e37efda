"""The thin singular value decomposition of a kernel, by its small Gram matrix."""

from typing import NamedTuple

import numpy as np

# The Gram matrix squares the singular values: vectors whose value is above this share
# of the largest come out orthogonal to about (machine epsilon / share^2) = 2e-8.
_SHARP = 1e-4
# Singular values below this share of the largest are rounding, and set to zero.
_NOISE = 1e-14


class SVDBasis(NamedTuple):
    """A thin singular value decomposition `u @ diag(s) @ vt`.

    Attributes:
        u: Array of shape `(rows, r)`, `r = min(rows, columns)`; orthonormal
            columns.
        s: Array of shape `(r,)`; singular values, descending, not negative.
        vt: Array of shape `(r, columns)`; orthonormal rows.
    """

    u: np.ndarray
    s: np.ndarray
    vt: np.ndarray


def svd_basis(matrix):
    """Decomposes a matrix into an orthonormal basis, its weights, and the way back.

    Computes the thin singular value decomposition from the eigenvectors of the smaller
    Gram matrix. Kernels are mostly tall or wide, so that matrix is small: over the
    kernels of VGG16 and ResNet50 this takes two fifths of the time of
    `numpy.linalg.svd` (`docs/benchmarks.md`). The Gram matrix blurs the vectors of tiny
    singular values; these are made orthogonal to the accurate ones and decomposed again
    separately, and if nothing remains, QR completes the basis. All work is done in
    float64.

    Accuracy: `u` and `vt` are orthonormal to 1e-6 after rounding to float32, and
    `u @ diag(s) @ vt` differs from `matrix` by less than 1e-6 in the relative
    Frobenius norm, for every rank (zero included) and every scale. For float64
    matrices the two bounds are 1e-7 and 1e-10.

    *Basis Scaling and Double Pruning for Efficient Transfer Learning* (Wong et al.,
    2021, arXiv:2108.02893) decomposes convolution kernels this way.

    Args:
        matrix: Array of shape `(rows, columns)`, real. A convolution kernel
            `(kh, kw, cin, cout)` is read as `kernel.reshape(-1, cout)`.

    Returns:
        An `SVDBasis` of `u` `(rows, r)`, `s` `(r,)`, `vt` `(r, columns)` with
        `r = min(rows, columns)`; float64 if `matrix` is float64, else float32.

    Raises:
        ValueError: If `matrix` is not a real, non-empty array of two dimensions,
            or holds NaN or infinity.

    Example:

    >>> u, s, vt = svd_basis(np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))
    >>> s
    array([4., 3.])
    """
    matrix = _checked(matrix)
    dtype = np.float64 if matrix.dtype == np.float64 else np.float32
    matrix = matrix.astype(np.float64)
    scale = np.max(np.abs(matrix)) or 1.0  # squares neither overflow nor vanish
    matrix /= scale
    if matrix.shape[0] >= matrix.shape[1]:
        u, s, v = _tall_svd(matrix)
    else:
        v, s, u = _tall_svd(matrix.T)
    return SVDBasis(
        np.ascontiguousarray(u, dtype),
        np.ascontiguousarray(s * scale, dtype),
        np.ascontiguousarray(v.T, dtype),
    )


def _checked(matrix):
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(
            "Expected `matrix` to be a non-empty array of 2 dimensions. "
            f"Received: matrix of shape={matrix.shape}. Reshape a kernel with "
            "`kernel.reshape(-1, kernel.shape[-1])`."
        )
    if matrix.dtype.kind in "cOSUMm":
        raise ValueError(
            "Expected `matrix` to hold real numbers. "
            f"Received: matrix of dtype={matrix.dtype}. Convert it to float32."
        )
    bad = matrix.size - np.count_nonzero(np.isfinite(matrix))
    if bad:
        raise ValueError(
            "Expected `matrix` to hold finite numbers only. "
            f"Received: matrix of shape={matrix.shape} with {bad} entries that are "
            "NaN or infinite. Look for a training run that diverged, or a damaged "
            "weights file."
        )
    return matrix


def _tall_svd(matrix):
    """Returns the thin SVD `(u, s, v)` of a matrix, rows >= columns, entries <= 1.

    Each round settles the directions that its Gram matrix shows accurately, and
    continues with the rest, orthogonal to all that is settled: one round for most
    kernels, at most four between the largest singular value and the noise.
    """
    u, s, v = _turned(matrix)
    sharp = np.count_nonzero(s > _SHARP * s[0])
    if sharp == len(s):  # most kernels: no copies beyond these
        u /= s
        return u, s, v
    rest, done, columns = u[:, sharp:], sharp, len(s)
    u[:, :done] /= s[:done]
    while done < columns:
        settled = u[:, :done]
        rest = rest - settled @ (settled.T @ rest)
        if np.linalg.norm(rest) <= _NOISE * s[0]:
            u[:, done:], s[done:] = _complement(settled, columns - done), 0.0
            break
        rest, norms, turn = _turned(rest)
        v[:, done:] = v[:, done:] @ turn
        sharp = np.count_nonzero(norms > _SHARP * norms[0])
        now = slice(done, done + sharp)
        np.divide(rest[:, :sharp], norms[:sharp], out=u[:, now])
        s[now] = norms[:sharp]
        done += sharp
        rest = rest[:, sharp:]
    return _in_order(u, s, v)


def _turned(matrix):
    """Returns `(matrix @ v, norms of its columns, v)`, `v` eigenvectors of the Gram.

    Columns come in descending order of their norms.
    """
    _, v = np.linalg.eigh(matrix.T @ matrix)
    v = np.ascontiguousarray(v[:, ::-1])  # the largest eigenvalue first
    turned = matrix @ v
    return _in_order(turned, np.linalg.norm(turned, axis=0), v)


def _in_order(u, s, v):
    """Sorts columns by descending `s`; rounding swaps neighbours now and then."""
    if np.all(s[:-1] >= s[1:]):
        return u, s, v
    order = np.argsort(-s, kind="stable")
    return u[:, order], s[order], v[:, order]


def _complement(settled, count):
    """Returns `count` orthonormal columns that are orthogonal to the settled ones."""
    random = np.random.default_rng(0).standard_normal((len(settled), count))
    for _ in range(2):  # twice is enough: after the first only rounding remains
        random -= settled @ (settled.T @ random)
    return np.linalg.qr(random)[0]
