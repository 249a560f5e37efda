import itertools

import keras
import numpy as np
import pytest
from models import array

from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.sampled_positions import sampled_positions


def patches(layer, inputs, positions):
    return rule_of(layer).patches(layer, inputs, positions)


CONVOLUTIONS = {
    1: keras.layers.Conv1D,
    2: keras.layers.Conv2D,
    3: keras.layers.Conv3D,
}
STRIDES_AND_DILATION = [(1, 1), (2, 1), (3, 1), (1, 2)]  # Keras allows one of them


def images(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def built(layer, inputs):
    """The layer with random weights, of which the bias is not zero."""
    rng = np.random.default_rng(0)
    layer.build((None, *inputs.shape[1:]))
    layer.set_weights([rng.standard_normal(w.shape) for w in layer.weights])
    return layer


def conv(inputs, kernel_size, **arguments):
    kind = CONVOLUTIONS[inputs.ndim - 2]
    return built(kind(5, kernel_size, **arguments), inputs)


def hold(layer, inputs, positions=None):
    """Patches times kernel equal what Keras computes, at `positions` or at all."""
    expected = array(layer(inputs))
    if getattr(layer, "data_format", "") == "channels_first":
        expected = np.moveaxis(expected, 1, -1)
    expected = expected.reshape(len(inputs), -1, expected.shape[-1])
    if positions is None:
        positions = np.arange(expected.shape[1])
    kernel = array(layer.kernel).reshape(-1, expected.shape[-1])
    cut = patches(layer, inputs, positions)
    assert cut.shape == (len(inputs) * len(positions), len(kernel))
    assert cut.dtype == inputs.dtype
    made = cut @ kernel + array(layer.bias)
    made = made.reshape(len(inputs), len(positions), -1)
    np.testing.assert_allclose(made, expected[:, positions], rtol=0, atol=5e-5)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
@pytest.mark.parametrize(("strides", "dilation"), STRIDES_AND_DILATION)
def test_conv1d(padding, kernel_size, strides, dilation):
    for length in (10, 11):
        x = images(2, length, 3)
        hold(
            conv(
                x, kernel_size, padding=padding, strides=strides, dilation_rate=dilation
            ),
            x,
        )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [1, (3, 3), (2, 3), (4, 1)])
@pytest.mark.parametrize(
    ("strides", "dilation"), [*STRIDES_AND_DILATION, ((1, 2), 1), (1, (2, 3))]
)
def test_conv2d(padding, kernel_size, strides, dilation):
    x = images(2, 8, 9, 3)
    hold(
        conv(x, kernel_size, padding=padding, strides=strides, dilation_rate=dilation),
        x,
    )


def test_padding_of_all_sizes():
    """Padding "same" depends on how size, kernel and stride divide."""
    for size, kernel, stride in itertools.product(
        (4, 5, 6, 7), (1, 2, 3, 4), (1, 2, 3)
    ):
        x = images(1, size, 11 - size, 2)
        hold(conv(x, kernel, strides=stride, padding="same"), x)
        hold(conv(x, kernel, strides=stride), x)


def test_kernel_larger_than_the_image():
    x = images(2, 3, 4, 2)
    hold(conv(x, 7, padding="same"), x)
    hold(conv(x, 3, padding="same", dilation_rate=3), x)
    hold(conv(x, 7, padding="same", strides=2), x)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [1, 2, (3, 2, 1)])
@pytest.mark.parametrize(
    ("strides", "dilation"), [(1, 1), (2, 1), (1, 2), ((1, 2, 3), 1), (1, (2, 1, 3))]
)
def test_conv3d(padding, kernel_size, strides, dilation):
    x = images(2, 6, 7, 5, 3)
    hold(
        conv(x, kernel_size, padding=padding, strides=strides, dilation_rate=dilation),
        x,
    )


@pytest.mark.parametrize("shape", [(9,), (8, 9), (6, 5, 7)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("arguments", [{}, {"strides": 2}, {"dilation_rate": 2}])
def test_channels_first(shape, padding, arguments):
    x = images(2, 3, *shape)
    moved = np.moveaxis(x, 1, -1)
    first = conv(x, 3, padding=padding, data_format="channels_first", **arguments)
    last = conv(moved, 3, padding=padding, **arguments)
    hold(last, moved)
    outputs = array(last(moved))
    positions = np.arange(outputs[0, ..., 0].size)
    np.testing.assert_array_equal(
        patches(first, x, positions), patches(last, moved, positions)
    )


@pytest.mark.parametrize("arguments", [{"strides": 2}, {"padding": "causal"}])
def test_channels_first_by_keras(arguments):
    x = images(2, 3, 9)
    hold(conv(x, 3, data_format="channels_first", **arguments), x)


@pytest.mark.parametrize("shape", [(3, 6), (3, 5, 6), (3, 4, 5, 6)])
def test_dense(shape):
    x = images(*shape)
    layer = built(keras.layers.Dense(4), x)
    hold(layer, x)
    count = int(np.prod(shape[1:-1], dtype=int))
    hold(layer, x, np.arange(count)[::2])


@pytest.mark.parametrize(
    "positions", [[0], [41], [3, 17, 40], [40, 3, 3], list(range(0, 42, 5))]
)
def test_some_positions(positions):
    x = images(3, 6, 7, 2)
    positions = np.array(positions)
    hold(conv(x, 3, padding="same"), x, positions)
    hold(conv(x, (2, 3), padding="same", dilation_rate=2), x, positions)


def test_some_positions_of_each_kind():
    for shape in ((20, 3), (9, 8, 3), (5, 6, 4, 3)):
        x = images(2, *shape)
        hold(conv(x, 2, padding="same"), x, np.array([0, 5, 19]))
        count = int(np.prod([-(-size // 2) for size in shape[:-1]]))
        layer = conv(x, 3, padding="same", strides=2)
        hold(layer, x, np.array([0, count // 2, count - 1]))


def test_patches_by_hand():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    layer = conv(x, 2, strides=2)
    expected = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    np.testing.assert_array_equal(patches(layer, x, np.arange(4)), expected)
    np.testing.assert_array_equal(patches(layer, x, np.array([3])), expected[3:])
    causal = conv(x[0], 2, padding="causal", dilation_rate=2)
    taps = patches(causal, x[0, :1].reshape(1, 4, 1), np.arange(4))
    np.testing.assert_array_equal(taps, [[0, 0], [0, 1], [0, 2], [1, 3]])


def test_inputs_do_not_change():
    x = images(2, 6, 7, 3)
    before = x.copy()
    patches(conv(x, 3, padding="same"), x, np.arange(42))
    np.testing.assert_array_equal(x, before)


def test_each_sample_has_positions_of_its_own():
    x = images(3, 6, 7, 2)
    layer = conv(x, (3, 2), padding="same", strides=2)
    positions = np.array([[0, 3], [11, 5], [7, 7]])
    together = patches(layer, x, positions)
    apart = [patches(layer, x[i : i + 1], positions[i]) for i in range(3)]
    np.testing.assert_array_equal(together, np.concatenate(apart))


@pytest.mark.parametrize(("size", "count"), [(1, 1), (10, 10), (10, 11), (5, 64)])
def test_all_positions_when_there_are_few(size, count):
    jitter = np.random.default_rng(0).random((3, count))
    np.testing.assert_array_equal(sampled_positions(size, jitter), np.arange(size))


@pytest.mark.parametrize(("size", "count"), [(10, 9), (10, 1), (3136, 64)])
def test_sampled_positions(size, count):
    jitter = np.random.default_rng(0).random((5, count)).astype("float32")
    drawn = sampled_positions(size, jitter)
    expected = np.floor((np.arange(count) + jitter.astype(float)) * size / count)
    np.testing.assert_array_equal(drawn, expected)
    assert drawn.min() >= 0 and drawn.max() < size
    assert np.all(np.diff(drawn, axis=1) >= 0)
    last = sampled_positions(size, np.full((1, count), 1 - 1e-9, "float32"))
    assert last.max() == size - 1


def test_positions_are_drawn_evenly():
    jitter = np.random.default_rng(0).random((400, 5))
    counts = np.bincount(sampled_positions(20, jitter).reshape(-1), minlength=20)
    assert counts.sum() == 2000
    assert 70 <= counts.min() and counts.max() <= 130  # 100, and 3.5 deviations of it


def test_jitter_belongs_to_the_sample():
    x, y = images(4, 3, 3, 1), np.arange(8).reshape(4, 2)
    whole = position_jitter([x, y], 6)
    assert whole.shape == (4, 6) and whole.min() >= 0.0 and whole.max() < 1.0
    assert len(np.unique(whole)) == 24
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(
        position_jitter([x[order], y[order]], 6), whole[order]
    )
    np.testing.assert_array_equal(position_jitter([x[1:2], y[1:2]], 6), whole[1:2])
    assert not np.array_equal(position_jitter([x, y + 1], 6), whole)
