import keras
import numpy as np
import pytest
from keras import layers
from models import Doubled

from keras_basisprune import convert, describe, fold, prune
from keras_basisprune.measure import cost


def row(described, name):
    return next(x for x in described.layers if x.name == name)


def plain():
    """A convolution with the singular values 4, 3, 2, 1, and layers of other kinds."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2D(4, 1, groups=2, use_bias=False, name="grouped"),
            layers.Conv2DTranspose(2, 2, name="transposed"),
            layers.SeparableConv2D(5, 3, name="separable"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(2, name="head"),
        ]
    )
    columns = np.linalg.qr(np.random.default_rng(0).normal(size=(27, 4)))[0]
    kernel = (columns * [4.0, 3, 2, 1]).reshape(3, 3, 3, 4)
    model.get_layer("conv").kernel.assign(kernel)
    return model


def test_a_converted_layer_by_hand():
    model = convert(plain(), rank=0.8)  # 16 + 9 of 30 are 0.833
    conv = row(describe(model), "conv")
    assert conv.kind == "Conv2D"
    assert conv.matrix == (27, 4)
    assert conv.rank == 2
    assert conv.energy == pytest.approx(25 / 30, abs=1e-6)
    assert conv.params == (108 + 4, 2 * 31 + 4)
    assert conv.flops == (2 * 108 * 36, 2 * 62 * 36)
    assert conv.reason is None


def test_masks_count():
    model = convert(plain())
    assert row(describe(model), "conv").energy == pytest.approx(1.0, abs=1e-6)
    assert row(describe(model), "conv").params == (112, 112)  # merged again
    model.get_layer("conv_scaling").mask.assign([0, 1, 0, 1])
    conv = row(describe(model), "conv")
    assert conv.rank == 2
    assert conv.energy == pytest.approx(10 / 30, abs=1e-6)
    assert conv.params == (112, 66)
    assert conv.flops == (2 * 108 * 36, 2 * 62 * 36)
    model.get_layer("conv_scaling").mask.assign(np.zeros(4))
    conv = row(describe(model), "conv")  # `fold` keeps one
    assert (conv.rank, conv.energy, conv.params) == (0, 0.0, (112, 31 + 4))


def test_masks_and_rank_multiply():
    model = convert(plain(), rank=0.8)
    model.get_layer("conv_scaling").mask.assign([0, 1])
    conv = row(describe(model), "conv")
    assert conv.energy == pytest.approx(9 / 30, abs=1e-6)
    assert conv.params == (112, 31 + 4)


def test_scales_do_not_change_the_kernels_energy():
    model = convert(plain())
    model.get_layer("conv_scaling").scale.assign([0.0, 0.1, 5.0, -1.0])
    assert row(describe(model), "conv").energy == pytest.approx(1.0, abs=1e-6)


def test_separable_is_split():
    described = describe(convert(plain(), rank=2))
    pointwise = row(described, "separable")
    assert pointwise.kind == "Conv2D"
    assert pointwise.matrix == (2, 5)
    assert pointwise.rank == 2
    assert pointwise.params == (10 + 5, 10 + 5)  # 2 x (2 + 5) is more than 10
    assert row(described, "separable_depthwise").kind == "DepthwiseConv2D"


def test_what_is_left_alone_has_a_reason():
    described = describe(convert(plain()))
    assert {x.name: x.reason.partition(":")[0] for x in described.left_alone} == {
        "depthwise": "depthwise",
        "grouped": "grouped convolution (2 groups)",
        "transposed": "transposed convolution",
        "separable_depthwise": "depthwise",
        "head": "not chosen",
    }
    assert [x.name for x in described.decomposed] == ["conv", "separable"]
    assert [x.name for x in described.layers] == [
        "conv",
        "depthwise",
        "grouped",
        "transposed",
        "separable_depthwise",
        "separable",
        "head",
    ]


def test_what_is_left_alone_by_hand():
    described = describe(convert(plain()))
    grouped = row(described, "grouped")
    assert (grouped.matrix, grouped.rank, grouped.energy) == (None, None, 1.0)
    assert grouped.params == (8, 8)
    assert grouped.flops == (2 * 8 * 16,) * 2
    assert row(described, "depthwise").params == (36 + 4,) * 2
    assert row(described, "depthwise").flops == (2 * 36 * 16,) * 2
    assert row(described, "transposed").flops == (2 * 32 * 16,) * 2
    head = row(described, "head")
    assert (head.matrix, head.rank) == ((5, 2), 2)
    assert head.params == (12, 12)
    assert head.flops == (20, 20)


def test_an_ordinary_model():
    described = describe(plain())
    assert described.decomposed == ()
    assert row(described, "conv").reason == "not converted"
    assert row(described, "separable").reason == "not converted"
    assert row(described, "separable").matrix == (2, 5)
    assert row(described, "separable").params == (18 + 10 + 5,) * 2
    assert row(described, "separable").flops == (2 * 28 * 9,) * 2
    assert row(described, "grouped").reason.startswith("grouped")
    assert sum(x.flops[0] for x in described.layers) == cost(plain()).flops


@pytest.mark.parametrize("rank", [None, 0.9, 0.6, 1])
def test_after_is_what_fold_makes(rank):
    model = convert(plain(), rank=rank, include=[layers.Conv2D, layers.Dense])
    model.get_layer("conv_scaling").mask.assign(
        np.arange(model.get_layer("conv_scaling").mask.shape[0]) == 0
    )
    described = describe(model)
    small = fold(prune(model), batch_norm=False)
    assert sum(x.flops[1] for x in described.layers) == cost(small).flops
    assert sum(x.flops[0] for x in described.layers) == cost(plain()).flops
    norm = 16  # BatchNormalization has no kernel, and no row
    assert sum(x.params[1] for x in described.layers) + norm == cost(small).params
    assert sum(x.params[0] for x in described.layers) + norm == cost(plain()).params


def test_a_pruned_model():
    model = convert(plain())
    model.get_layer("conv_scaling").mask.assign([1, 1, 0, 0])
    conv = row(describe(prune(model)), "conv")
    assert (conv.rank, conv.matrix) == (2, (27, 4))
    assert conv.params == (112, 66)
    assert conv.flops == (2 * 108 * 36, 2 * 62 * 36)


def test_shared_layers_add_up():
    a, b = keras.Input((8, 8, 3)), keras.Input((6, 6, 3))
    conv, other = layers.Conv2D(4, 3, name="conv"), layers.Conv2D(2, 1, name="other")
    model = keras.Model([a, b], [conv(a), conv(b), other(a), other(b)])
    described = describe(convert(model, exclude="other"))
    assert row(described, "conv").flops == (2 * 108 * 52,) * 2
    assert row(described, "other").flops == (2 * 6 * 100,) * 2


def test_unknown_sizes():
    model = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv")]
    )
    converted = convert(model, rank=2)
    conv = row(describe(converted), "conv")
    assert conv.flops is None
    assert conv.params == (112, 66)
    assert row(describe(converted, input_shape=(8, 8, 3)), "conv").flops == (
        2 * 108 * 36,
        2 * 62 * 36,
    )
    assert row(describe(model), "conv").flops is None
    assert (
        row(describe(model, input_shape=(8, 8, 3)), "conv").flops == (2 * 108 * 36,) * 2
    )


def test_what_no_rule_counts():
    inputs = keras.Input((6, 4))
    x = layers.LSTM(3, name="lstm")(Doubled(4, name="doubled")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    described = describe(convert(model, include="head"))
    assert row(described, "doubled").flops is None
    lstm = row(described, "lstm")
    assert (lstm.flops, lstm.matrix) == ((2 * 6 * 12 * (4 + 3),) * 2, None)
    assert lstm.params == (4 * 3 * (4 + 3 + 1),) * 2
    assert "LSTM is not a convolution" in lstm.reason


def test_prints_a_table():
    text = str(describe(convert(plain(), rank=0.8)))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][:7] == "layer kind matrix rank energy params folded".split()
    assert lines[0][7:] == "FLOPs folded left alone because".split()
    conv = row(describe(convert(plain(), rank=0.8)), "conv")
    flops = [f"{count:,}" for count in conv.flops]
    assert ["conv", "Conv2D", "27x4", "2", "0.8333", "112", "66", *flops] in lines
    grouped = next(line for line in lines if line and line[0] == "grouped")
    assert grouped[1:7] == ["Conv2D", "-", "-", "1.0000", "8", "8"]
    assert "grouped convolution (2 groups): not supported" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_names_are_printed_as_they_are():
    name = "a_[bold]name[_bold]_:smile:" + "x" * 300
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name=name)])
    assert name in str(describe(model))


def test_refuses_a_subclassed_model():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="Expected `model` to be a built Functional"):
        describe(Subclassed())
