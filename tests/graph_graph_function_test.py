import keras
import numpy as np
import pytest
from keras import layers, ops
from models import array

from keras_basisprune.graph.graph_function import GraphFunction


def test_a_function_of_several_tensors_under_its_own_name():
    one, two = keras.Input((None, 3)), keras.Input((3,))
    made = GraphFunction(
        lambda a, b: ops.sum(a, axis=1) * b, (None, 3), "float32", "weighed"
    )(one, two)
    assert (made.shape, made.dtype) == ((None, 3), "float32")
    model = keras.Model([one, two], made)
    assert "weighed" in [op.name for op in model.operations]
    rng = np.random.default_rng(0)
    for length in (4, 9):
        x, y = (rng.normal(size=s).astype("f") for s in ((5, length, 3), (5, 3)))
        found = model.predict([x, y], verbose=0)
        np.testing.assert_allclose(found, x.sum(1) * y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_nothing_is_cast_and_no_mask_is_read(dtype):
    ids = keras.Input((4,), dtype="int32", name="ids")
    x = layers.Embedding(5, 3, mask_zero=True, dtype=dtype, name="embedding")(ids)
    look = GraphFunction(ops.abs, x.shape, x.dtype, "size")
    model = keras.Model(ids, look(x))
    added = {op.name for op in model.operations} - {"ids", "embedding"}
    assert added == {"size"}
    found = model(np.array([[0, 1, 2, 4]]))
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    table = array(model.get_layer("embedding").embeddings).astype(dtype)
    np.testing.assert_array_equal(array(found)[0], abs(table[[0, 1, 2, 4]]))
