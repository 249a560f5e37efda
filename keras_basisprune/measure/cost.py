"""Parameters, FLOPs and bytes of a model, layer by layer."""

from collections.abc import Sequence

import keras

from keras_basisprune.graph.trace import trace
from keras_basisprune.measure._count import Cost, count_calls


def cost(
    model: keras.Model,
    *,
    input_shape: Sequence[int | None] | None = None,
) -> Cost:
    """Counts parameters, FLOPs and bytes.

    FLOPs are 2 x multiply-adds, for a batch of one: of convolutions (grouped,
    depthwise, separable and transposed ones too), dense layers, `EinsumDense`,
    recurrent layers (both kernels, at each time step), attention (projections, scores,
    and the sum of values), `Dot`, layers inside `TimeDistributed` and `Bidirectional`,
    and this package's layers. Biases, activations, normalization and pooling are not
    counted, as is usual: they are a few percent. Layers whose FLOPs are not known count
    as 0 and are named in `uncounted`: custom layers (unless they inherit from a
    convolution or a dense layer), functions such as `keras.ops.matmul`, and recurrent
    layers and attention on sequences of unknown length. Time is linear in the number of
    calls; no weight is read.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        input_shape: Shape of one sample, for a model whose input sizes are `None`.

    Returns:
        A `Cost`.

    Raises:
        ValueError: If the model can't be read, or sizes of its input are unknown.

    Example:

    >>> model = keras.applications.MobileNet(weights=None)
    >>> keras_basisprune.measure.cost(model).params
    4253864
    """
    return count_calls(trace(model, input_shape))
