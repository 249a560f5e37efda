"""Bounds of losses, against SciPy, by hand, and by all that can happen."""

import math

import numpy as np
import pytest
from scipy import stats

from keras_basisprune.report.loss_bound import images_for, loss_bound


@pytest.mark.parametrize("images", [1, 4, 50, 300, 10_000])
@pytest.mark.parametrize("confidence", [0.8413, 0.95, 0.99])
def test_none_lost_and_some_lost_as_by_clopper_and_pearson(images, confidence):
    zero = 1 - (1 - confidence) ** (1 / images)
    assert loss_bound(0, 0, images, confidence) == pytest.approx(zero, rel=1e-9)
    for lost in {1, images // 3, images - 1, images} - {0}:
        test = stats.binomtest(lost, images, alternative="less")
        exact = test.proportion_ci(confidence, method="exact").high
        assert loss_bound(lost, 0, images, confidence) == pytest.approx(exact)


def test_the_rule_of_three():
    for images in (100, 1000, 10_000):
        assert loss_bound(0, 0, images) == pytest.approx(3 / images, rel=0.02)
    assert loss_bound(0, 0, 1) == pytest.approx(0.95)
    assert loss_bound(0, 0, 4) == pytest.approx(1 - 0.05**0.25)


def test_many_images_have_the_usual_standard_error():
    lost, gained, images = 6000, 4000, 200_000
    loss = (lost - gained) / images
    error = math.sqrt(((lost + gained) / images - loss**2) / images)
    for confidence in (0.8413, 0.95):
        away = loss_bound(lost, gained, images, confidence) - loss
        quantile = stats.norm.ppf(confidence)
        assert away == pytest.approx(quantile * error, rel=0.01)


def test_gains_lower_the_bound_and_losses_raise_it():
    bounds = [loss_bound(5, gained, 100) for gained in (0, 2, 5, 20, 95)]
    assert bounds == sorted(bounds, reverse=True)
    bounds = [loss_bound(lost, 5, 100) for lost in (0, 2, 5, 20, 95)]
    assert bounds == sorted(bounds)
    assert loss_bound(0, 50, 100) < 0 < loss_bound(0, 1, 100)
    for lost, gained in ((0, 0), (0, 7), (3, 3), (9, 1), (100, 0), (0, 100), (50, 50)):
        assert (lost - gained) / 100 < loss_bound(lost, gained, 100) <= 1 or lost == 100


@pytest.mark.parametrize("images", [2, 5, 12, 40])
def test_it_holds_as_often_as_it_says(images):
    """Adds up the chances of all outcomes whose bound holds."""
    lost, gained = np.meshgrid(*[np.arange(images + 1)] * 2, indexing="ij")
    there = lost + gained <= images
    lost, gained = lost[there], gained[there]
    bounds = np.array(
        [loss_bound(a, b, images) for a, b in zip(lost, gained, strict=True)]
    )
    outcomes = np.stack([lost, gained, images - lost - gained], -1)
    for away in (0.001, 0.01, 0.03, 0.1, 0.2):
        for back in (0.0, 0.01, 0.1):
            chances = stats.multinomial.pmf(
                outcomes, images, [away, back, 1 - away - back]
            )
            assert chances.sum() == pytest.approx(1)
            assert chances[bounds >= away - back - 1e-12].sum() >= 0.95


def test_how_many_images_a_budget_takes():
    assert [images_for(budget) for budget in (0.01, 0.05, 0.1)] == [299, 59, 29]
    for budget in (0.002, 0.01, 0.03, 0.5, 0.99):
        needed = images_for(budget)
        assert loss_bound(0, 0, needed) <= budget + 1e-12
        assert needed == 1 or loss_bound(0, 0, needed - 1) > budget
