"""Parameters, FLOPs and bytes of a model, layer by layer."""

from keras_basisprune.measure._count import Cost, count


def cost(model, input_shape=None) -> Cost:
    """Counts parameters, FLOPs and bytes.

    FLOPs are 2 x multiply-adds of convolutions (grouped, depthwise, separable and
    transposed ones too), dense layers and this package's layers, for a batch of one.
    Biases, activations, normalization and pooling are left out, as is usual: they are
    some percent. Layers that multiply in ways no rule knows (recurrent ones,
    attention, `EinsumDense`, `keras.ops.matmul`) count as 0 and are named in
    `uncounted`. Time is linear in the number of calls; no weight is read.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        input_shape: Shape of one sample, for a model whose input sizes are `None`.

    Returns:
        A `Cost`.

    Raises:
        ValueError: If the model can't be read, or sizes of its input are unknown.

    Example:

    >>> model = keras.applications.MobileNet(weights=None)
    >>> keras_basisprune.cost(model).params
    4253864
    """
    return count(model, input_shape)
