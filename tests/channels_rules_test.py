"""Every layer that has a rule, in a network of a few channels, against the oracle."""

import pytest
from channel_oracle import between, chain, check
from keras import layers, ops

import keras_basisprune as kbp


def squeeze_and_excite(x):
    y = layers.GlobalAveragePooling2D()(x)
    y = layers.Reshape((1, 1, 6))(y)
    y = layers.Conv2D(2, 1, activation="relu")(y)
    return layers.Multiply()([x, layers.Conv2D(6, 1, activation="sigmoid")(y)])


def squeeze_and_excite_by_operators(x):
    y = layers.Dense(3, activation="relu")(ops.mean(x, axis=(1, 2)))
    return x * layers.Dense(6, activation="sigmoid")(y)[:, None, None, :]


IMAGES = {
    "batch_norm": chain(layers.BatchNormalization),
    "layer_norm": chain(layers.LayerNormalization),
    "layer_norm_plain": chain(
        lambda: layers.LayerNormalization(center=False, scale=False)
    ),
    "rms_norm": chain(layers.RMSNormalization),
    "unit_norm": chain(layers.UnitNormalization),
    "group_norm_each": chain(lambda: layers.GroupNormalization(6)),
    "group_norm_all": chain(lambda: layers.GroupNormalization(1)),
    "group_norm_some": chain(lambda: layers.GroupNormalization(2, center=False)),
    "normalization_given": chain(
        lambda: layers.Normalization(mean=range(6), variance=range(1, 7))
    ),
    "normalization_scalar": chain(lambda: layers.Normalization(mean=1, variance=4)),
    "rescaling": chain(lambda: layers.Rescaling(2.0, 1.0)),
    "rescaling_each": chain(
        lambda: layers.Rescaling([1.0, 2, 3, 4, 5, 6], [6.0, 5, 4, 3, 2, 1])
    ),
    "prelu": chain(layers.PReLU),
    "prelu_shared": chain(lambda: layers.PReLU(shared_axes=[1, 2])),
    "prelu_one": chain(lambda: layers.PReLU(shared_axes=[1, 2, 3])),
    "activations": chain(
        layers.ELU,
        layers.LeakyReLU,
        lambda: layers.Activation("gelu"),
        layers.ReLU,
        layers.Identity,
    ),
    "softmax_of_positions": chain(lambda: layers.Softmax(axis=(1, 2))),
    "dropouts": chain(
        lambda: layers.Dropout(0.5),
        lambda: layers.SpatialDropout2D(0.5),
        lambda: layers.GaussianDropout(0.5),
        lambda: layers.GaussianNoise(0.5),
        lambda: layers.AlphaDropout(0.5),
        lambda: layers.ActivityRegularization(0.5),
    ),
    "pooling": chain(layers.MaxPooling2D, lambda: layers.AveragePooling2D(2)),
    "resizing": chain(
        layers.UpSampling2D,
        layers.ZeroPadding2D,
        layers.Cropping2D,
        lambda: layers.Resizing(5, 6),
        lambda: layers.CenterCrop(4, 4),
    ),
    "augmentation": chain(
        lambda: layers.RandomFlip(),
        lambda: layers.RandomRotation(0.1),
        lambda: layers.RandomZoom(0.1),
        lambda: layers.RandomTranslation(0.1, 0.1),
    ),
    "global_pooling": lambda x: (
        layers.GlobalAveragePooling2D(keepdims=True)(x)
        + layers.GlobalMaxPooling2D(keepdims=True)(x)
    ),
    "permute": chain(lambda: layers.Permute((2, 1, 3))),
    "permute_there_and_back": chain(
        lambda: layers.Permute((3, 1, 2)),
        lambda: layers.Dense(8),  # on positions
        lambda: layers.Permute((2, 3, 1)),
    ),
    "reshape": chain(
        lambda: layers.Reshape((64, 6)),
        lambda: layers.Reshape((-1, 6)),
        lambda: layers.Reshape((4, 16, 6)),
    ),
    "reshape_and_infer": chain(lambda: layers.Reshape((4, 16, -1))),
    "flatten": lambda x: layers.Reshape((2, 2, 5))(
        layers.Dense(20)(layers.Flatten()(x))
    ),
    "dense": chain(lambda: layers.Dense(5, activation="relu")),
    "einsum_dense": chain(
        lambda: layers.EinsumDense("...x,xy->...y", 5, bias_axes="y"),
        lambda: layers.EinsumDense("abcd,de->abce", (8, 8, 4), activation="relu"),
        lambda: layers.EinsumDense("abcd,de->abce", (8, 8, 4), bias_axes="be"),
        lambda: layers.EinsumDense("abcd,de->abce", (8, 8, 4), bias_axes="b"),
    ),
    "transposed": chain(lambda: layers.Conv2DTranspose(5, 3, strides=2)),
    "depthwise": chain(
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        lambda: layers.DepthwiseConv2D(3, use_bias=False),
    ),
    "grouped": chain(lambda: layers.Conv2D(8, 3, groups=2)),
    "grouped_as_depthwise": chain(lambda: layers.Conv2D(12, 3, groups=6)),
    "separable": chain(lambda: layers.SeparableConv2D(5, 3, depth_multiplier=2)),
    "squeeze_and_excite": squeeze_and_excite,
    "squeeze_and_excite_by_operators": squeeze_and_excite_by_operators,
    "merging": lambda x: layers.Average()(
        [
            layers.Maximum()([x, layers.Conv2D(6, 1)(x)]),
            layers.Minimum()([x, layers.Add()([x, layers.Dense(6)(x)])]),
            layers.Subtract()([x, layers.Multiply()([x, x])]),
        ]
    ),
    "merging_of_ranks": lambda x: layers.Multiply()(
        [x, layers.Dense(6)(layers.GlobalMaxPooling2D()(x))]
    ),
    "concatenation": lambda x: layers.Concatenate()([x, layers.Conv2D(3, 1)(x), x]),
    "concatenation_of_rows": lambda x: layers.Concatenate(axis=1)([x, -x]),
    "dense_net": lambda x: layers.Conv2D(4, 3)(
        layers.ReLU()(
            layers.BatchNormalization()(
                layers.Concatenate()([x, layers.Conv2D(3, 1)(layers.ReLU()(x))])
            )
        )
    ),
    "time_distributed": chain(
        lambda: layers.TimeDistributed(layers.Conv1D(5, 3, padding="same")),
        lambda: layers.TimeDistributed(layers.BatchNormalization()),
        lambda: layers.TimeDistributed(layers.Dense(4, activation="relu")),
    ),
    "timed_flatten": lambda x: layers.Reshape((8, 1, 4))(
        layers.TimeDistributed(layers.Dense(4))(
            layers.TimeDistributed(layers.Flatten())(x)
        )
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_layers_of_images(name):
    model = between(IMAGES[name])
    assert kbp.graph.channel_groups(model).prunable("a").all()
    plans = check(model)
    assert any("a" in plan.channels for plan in plans)


VOLUMES = {
    "conv": chain(lambda: layers.Conv3D(5, 3), lambda: layers.SpatialDropout3D(0.1)),
    "transposed": chain(lambda: layers.Conv3DTranspose(5, 2)),
    "pooling": chain(
        layers.MaxPooling3D,
        layers.UpSampling3D,
        lambda: layers.AveragePooling3D(2),
        layers.ZeroPadding3D,
        layers.Cropping3D,
    ),
    "global_pooling": lambda x: (
        layers.GlobalAveragePooling3D(keepdims=True)(x)
        * layers.GlobalMaxPooling3D(keepdims=True)(x)
    ),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_layers_of_volumes(name):
    model = between(VOLUMES[name], (4, 4, 4, 2), layers.Conv3D)
    assert kbp.graph.channel_groups(model).prunable("a").all()
    plans = check(model)
    assert any("a" in plan.channels for plan in plans)


def test_as_many_positions_as_channels():
    model = between(
        chain(
            lambda: layers.Permute((3, 1, 2)),
            lambda: layers.Dense(6),
            lambda: layers.Permute((2, 3, 1)),
        ),
        (6, 6, 3),
    )
    assert any("a" in plan.channels for plan in check(model))
