"""Operations that this package adds to the graph of a user's model."""

import keras


class GraphFunction(keras.Operation):
    """A function of tensors, as one operation of a graph, under a given name.

    A function of `keras.ops` that is called on a symbolic tensor is named by Keras,
    which counts names from zero in every process. An operation of a model that was
    loaded from a file may already have that name, and then no model can hold both.
    Unlike `keras.layers.Lambda`, it neither casts nor reads masks, which would add such
    operations again.

    Args:
        function: Takes tensors and returns a tensor, using `keras.ops`.
        shape: The shape of the result, the batch axis included, `None` for unknown
            sizes.
        dtype: The dtype of the result.
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
