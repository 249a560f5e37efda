"""The patches that a convolution reads for some of its output positions."""

import math

import numpy as np


def patches(layer, inputs, positions) -> np.ndarray:
    """Cuts out the patches of a layer's inputs that some of its outputs depend on.

    `patches(layer, x, positions) @ kernel.reshape(-1, cout)` (plus bias) equals the
    layer's outputs at these positions. Time and memory are those of the patches, plus
    one padded copy of the inputs.

    Args:
        layer: A built `Conv1D/2D/3D` without groups, without activation.
        inputs: Array of shape `(batch, ..., cin)`, `(batch, cin, ...)` if the layer is
            "channels_first".
        positions: Integer array of shape `(count,)`, or `(batch, count)` if they differ
            by sample: positions in the flattened output map.

    Returns:
        An array of shape `(batch * count, n)`, `n = kh * kw * cin`, `inputs`' dtype.
    """
    if layer.data_format == "channels_first":
        inputs = np.moveaxis(inputs, 1, -1)
    reach = [
        (size - 1) * dilation + 1
        for size, dilation in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    padding, outputs = _geometry(layer, inputs.shape[1:-1], reach)
    if any(before or after for before, after in padding):
        inputs = np.pad(inputs, [(0, 0), *padding, (0, 0)])
    starts = np.unravel_index(positions, outputs)
    taps = np.meshgrid(
        *map(_taps, layer.kernel_size, layer.dilation_rate), indexing="ij"
    )
    index = np.zeros((*positions.shape, math.prod(layer.kernel_size)), np.intp)
    for start, stride, tap, size in zip(
        starts, layer.strides, taps, inputs.shape[1:-1], strict=True
    ):
        index = index * size + (start * stride)[..., None] + tap.reshape(-1)
    width = index.shape[-1] * inputs.shape[-1]
    return gathered(inputs, index.reshape(*positions.shape[:-1], -1)).reshape(-1, width)


def gathered(inputs, index):
    """Picks values at positions of flattened maps, the same for all samples or not."""
    maps = inputs.reshape(len(inputs), -1, inputs.shape[-1])
    if index.ndim == 1:
        return maps[:, index]
    return maps[np.arange(len(maps))[:, None], index]


def _taps(size, dilation):
    return np.arange(size) * dilation


def _geometry(layer, sizes, reach):
    """Returns padding (before, after) and output size, per axis."""
    if layer.padding == "valid":
        padding = [(0, 0)] * len(sizes)
    elif layer.padding == "causal":
        padding = [(reach[0] - 1, 0)]
    else:
        padding = []
        for size, far, stride in zip(sizes, reach, layer.strides, strict=True):
            missing = max((-(-size // stride) - 1) * stride + far - size, 0)
            padding.append((missing // 2, missing - missing // 2))
    outputs = [
        (size + sum(pad) - far) // stride + 1
        for size, pad, far, stride in zip(
            sizes, padding, reach, layer.strides, strict=True
        )
    ]
    return padding, outputs
