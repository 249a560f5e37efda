import keras
import numpy as np
import pytest

from keras_basisprune.training._schedules import Target, target_at


@pytest.mark.parametrize("value", [0, 0.0, 0.25, 1, 3.5, np.float32(0.25)])
def test_a_number(value):
    assert target_at(value, 7) == Target(active=True, threshold=float(value))


def test_a_keras_schedule():
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 0.1)
    for step, wanted in ((0, 0.0), (500, 0.05), (1000, 0.1), (9999, 0.1)):
        target = target_at(ramp, step)
        assert target.active
        assert target.ratio is None
        assert target.threshold == pytest.approx(wanted, abs=1e-7)


def test_a_lambda_of_the_step():
    assert target_at(lambda step: step / 10, 3) == Target(True, threshold=0.3)
    assert target_at(lambda step: (step > 2, 0.5), 3) == Target(True, ratio=0.5)
    assert target_at(lambda step: [step > 2, 0.5], 2) == Target(False, ratio=0.5)
    assert target_at(lambda step: keras.ops.ones(()), 2).threshold == 1.0


def test_everything_leaves_at_most_all_but_one():
    assert 0.999 < target_at(lambda step: (True, 1.0), 0).ratio < 1


def test_the_polynomial_decay_of_tfmot():
    tfmot = pytest.importorskip("tensorflow_model_optimization")
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.25,
        final_sparsity=0.75,
        begin_step=100,
        end_step=200,
        power=1,
        frequency=50,
    )
    for step, active, ratio in (
        (0, False, 0.25),
        (99, False, 0.25),
        (100, True, 0.25),
        (125, False, 0.375),
        (150, True, 0.5),
        (200, True, 0.75),
        (250, False, 0.75),
    ):
        target = target_at(schedule, step)
        assert target.active is active
        assert target.threshold is None
        assert target.ratio == pytest.approx(ratio, abs=1e-6)


def test_the_constant_sparsity_of_tfmot():
    tfmot = pytest.importorskip("tensorflow_model_optimization")
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=3, frequency=2)
    active = [target_at(schedule, step).active for step in range(8)]
    assert active == [False, False, False, True, False, True, False, True]


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (-0.1, "Expected `threshold` to be a number >= 0 .* Received: -0.1 at step 5"),
        (float("nan"), "Expected `threshold` to be a number >= 0"),
        (lambda step: -step, "Received: -5.0 at step 5"),
        ("high", "Expected `threshold` to be a number, or a callable .* gave 'high'"),
        (None, "Expected `threshold` to be a number, or a callable"),
        (lambda step: None, "which gave None at step 5"),
        (lambda step: (True, 1.5), r"sparsity in \[0, 1\]. Received: sparsity=1.5 at"),
        (lambda step: (True, float("nan")), "sparsity=nan at step 5"),
        (lambda step: (True, "all"), "Expected `threshold` to be a number, or"),
        (lambda step: (True, 0.5, 1), "Expected `threshold` to be a number, or"),
    ],
)
def test_refuses(schedule, text):
    with pytest.raises(ValueError, match=text):
        target_at(schedule, 5)
