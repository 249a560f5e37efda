"""What is computed besides, in the graph of a user's model."""

import keras


class GraphFunction(keras.Operation):
    """A function of tensors, as one operation of a graph, under a name of its own.

    A function of `keras.ops` that is called on a symbolic tensor is named by Keras,
    which counts names from zero in every process; so an operation of a model that was
    loaded from a file may have that name already, and no model can be made of both.
    Unlike `keras.layers.Lambda`, it neither casts nor reads masks, which would be such
    operations again.

    Args:
        function: Takes tensors and returns a tensor, by `keras.ops`.
        shape: The shape of what it returns, the batch axis included, `None` where it
            isn't known.
        dtype: Its dtype.
        name: A name that no other operation of the graph has, from `FreeNames`.

    Example:

    >>> x, free = model.output, FreeNames(model.operations)
    >>> y = GraphFunction(lambda x: 2 * x, x.shape, x.dtype, free("doubled"))(x)
    """

    def __init__(self, function, shape, dtype, name):
        super().__init__(name=name)
        self._function, self._shape, self._dtype = function, tuple(shape), dtype

    def call(self, *tensors):
        return self._function(*tensors)

    def compute_output_spec(self, *tensors):
        return keras.KerasTensor(self._shape, self._dtype)
