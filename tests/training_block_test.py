"""The example of docs/training.md, as it is printed, on networks for real digits."""

import keras
import pytest

import keras_basisprune as kbp
from benchmarks import training_block


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("two convolutions, 32 and 64 filters", 0.45),
        ("MobileNet-like, 16 to 64 filters", 0.35),
    ],
)
def test_small_networks_lose_a_good_share(digits, capsys, name, least):
    build, width = training_block.NETWORKS[name]
    model = training_block.trained(build, width, digits)
    keras.utils.set_random_seed(0)
    small = training_block.run(model, digits)
    capsys.readouterr()  # the progress of `fit`
    before, after = (kbp.measure.accuracy(m, digits.test) for m in (model, small))
    assert before > 0.94
    assert after > before - 0.02
    assert kbp.compare(model, small).params_ratio < 1 - least
    assert all(type(layer).__module__.startswith("keras.") for layer in small.layers)


def test_the_block_is_the_one_of_the_page():
    code = training_block.code()
    assert "kbp.convert(model, l1=" in code
    assert code in training_block.PAGE.read_text(encoding="utf-8")
