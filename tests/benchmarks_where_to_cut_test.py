"""The benchmark of where to cut, on a tiny network."""

import keras
import numpy as np
from benchmark_modules import benchmark
from models import randomize

import keras_basisprune as kbp

where_to_cut, _ = benchmark("where_to_cut")


def test_rows_are_kept_and_printed(tmp_path, capsys):
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = randomize(keras.Model(inputs, keras.layers.Dense(3, "softmax")(x)))
    images = np.random.default_rng(0).random((30, 6, 6, 3), dtype="float32")
    data = images, where_to_cut.answers(model, images)
    ways = ["same", "measured", "steps", "bases", "greedy_channels", "greedy_bases"]
    given = (model, data, 20, ways, [1.0, 0.5], 1, 0.4, tmp_path)
    rows = where_to_cut.experiment(*given)
    assert [(row.way, row.keep) for row in rows] == [
        (way, keep) for way in ways for keep in (1.0, 0.5)
    ]
    for row in rows:
        assert row.flops <= row.keep + 1e-3
        if row.keep == 1.0:
            assert row.agreement == row.fitted_agreement == row.accuracy == 100.0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 12
    assert where_to_cut.experiment(*given) == rows  # from the file
    assert not capsys.readouterr().out
    text = where_to_cut.table(rows)
    assert "| 100% | same | 100.0 ± 0.0 | 100.0 ± 0.0 |" in text
    assert text.count("\n") == 13


def test_one_tolerated_loss_cuts_each_layer_as_far_as_it_goes():
    curves = [
        kbp.plans.LossCurve(
            "one", "channels", 4, (2, 0, 1), (1.0, 2.0, 3.0), (1, 2), (0.1, 0.4)
        ),
        kbp.plans.LossCurve("two", "bases", 3, (2, 1), (1.0, 2.0), (1, 2), (0.3, 0.2)),
    ]
    kept = kbp.plans.Kept
    expected = {
        0.05: ({}, {"two": kept((0, 1, 2), 3)}),
        0.1: ({"one": kept((0, 1, 3), 4)}, {"two": kept((0, 1, 2), 3)}),
        0.25: ({"one": kept((0, 1, 3), 4)}, {"two": kept((0,), 3)}),
        0.5: ({"one": kept((1, 3), 4)}, {"two": kept((0,), 3)}),
    }
    for loss, (channels, bases) in expected.items():
        plan = where_to_cut.tolerated(curves, loss)
        assert plan == kbp.Plan(channels=channels, bases=bases)
