import keras
import pytest
from keras import layers
from nested_models import NESTED

from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.trace import trace


def read(model):
    """Names and numbers of the calls of each, in order."""
    count, found = {}, []
    for call in depth_first(trace(model)).calls:
        count[call.op.name] = count.get(call.op.name, 0) + 1
        found.append(f"{call.op.name} {count[call.op.name]}")
    return found


def test_one_branch_after_the_other_in_the_order_of_arguments():
    one, two = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    far = layers.Dense(4, name="far")(shared(one))
    x = layers.Add(name="sum")([shared(two), shared(far)])
    y = layers.Dense(2, name="other")(x)
    traced = depth_first(trace(keras.Model([one, two], [y, x])))
    assert [call.op.name for call in traced.calls] == [
        *("shared", "shared", "far", "shared", "sum", "other")
    ]
    first, second, *_ = traced.calls
    assert first.input_tensors[0] is traced.inputs[1]
    assert second.input_tensors[0] is traced.inputs[0]


@pytest.mark.parametrize("kind", NESTED)
def test_nesting_changes_nothing(kind):
    model = NESTED[kind]()
    assert read(model) == read(flatten(model))


@pytest.mark.parametrize("kind", NESTED)
def test_every_call_comes_once_behind_what_it_reads(kind):
    traced = trace(NESTED[kind]())
    ordered = depth_first(traced)
    assert {id(c) for c in ordered.calls} == {id(c) for c in traced.calls}
    assert len(ordered.calls) == len(traced.calls)
    known = {id(t) for t in keras.tree.flatten(traced.inputs)}
    for call in ordered.calls:
        assert known >= {id(t) for t in call.input_tensors}
        known |= {id(t) for t in call.output_tensors}


def test_long_chains_need_no_recursion():
    x = inputs = keras.Input((1,))
    layer = layers.Identity()
    for _ in range(300):
        x = layer(x)
    assert len(depth_first(trace(keras.Model(inputs, x))).calls) == 300
