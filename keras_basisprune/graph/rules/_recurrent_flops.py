"""FLOPs of recurrent layers."""

import math

import keras

_CELLS = (keras.layers.GRUCell, keras.layers.LSTMCell, keras.layers.SimpleRNNCell)
_CONVOLUTIONAL = (
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)


def recurrent_flops(layer, shapes) -> int | None:
    """Counts both kernels of a recurrent layer's cell, at each time step."""
    if type(layer) in _CONVOLUTIONAL:
        return _convolutional(layer, shapes)
    if type(layer.cell) not in _CELLS:
        return None
    return shapes.product([shapes.inputs[0][1], _weights(layer, shapes)])


def _convolutional(layer, shapes):
    """Counts kernels at each position of the state's map, too."""
    rank = len(layer.cell.kernel.shape) - 2
    sizes = shapes.outputs[0][2 if layer.return_sequences else 1 :]
    first = layer.cell.data_format == "channels_first"
    sizes = sizes[1:] if first else sizes[:rank]
    return shapes.product([shapes.inputs[0][1], *sizes, _weights(layer, shapes)])


def _weights(layer, shapes):
    names = ("cell.kernel", "cell.recurrent_kernel")
    return 2 * sum(math.prod(shapes.weight(layer, name)) for name in names)
