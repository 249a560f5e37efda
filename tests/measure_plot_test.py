"""Pictures: their bars are the numbers."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_basisprune as kbp

BLUE, GREY = (31, 111, 235), (201, 209, 217)


def converted():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(8, 3, name="conv")]
    )
    return kbp.convert(model)


def share(path, colour):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return np.mean(np.abs(pixels - colour).sum(-1) < 12)


def test_plot_bases_shows_kept_and_masked(tmp_path):
    model = converted()
    layer = model.get_layer("conv_scaling")
    path = kbp.measure.plot_bases(model, tmp_path / "new" / "all.png")
    assert path == tmp_path / "new" / "all.png"
    assert share(path, BLUE) > 0.2
    assert share(path, GREY) == 0
    layer.mask.assign([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    few = kbp.measure.plot_bases(model, tmp_path / "few.png")
    assert 0.1 < share(few, BLUE) / share(path, BLUE) < 0.5
    assert share(few, GREY) > share(few, BLUE)


@pytest.mark.parametrize(
    ("name", "total", "rank"), [("conv", 9, 8), ("other", 8, "none")]
)
def test_plot_bases_needs_a_plan_that_fits(tmp_path, name, total, rank):
    plan = kbp.Plan(bases={name: kbp.plans.Kept((0,), total)})
    message = f"`plan`.*{total} bases of `{name}`, which has {rank}"
    with pytest.raises(ValueError, match=message):
        kbp.measure.plot_bases(converted(), tmp_path / "x.png", plan=plan)
    assert not (tmp_path / "x.png").exists()


def test_plot_bases_needs_a_converted_model(tmp_path):
    with pytest.raises(ValueError, match="`model` to be a converted model"):
        kbp.measure.plot_bases(kbp.fold(converted()), tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_plot_comparison_bars_are_the_ratios(tmp_path):
    model = converted()
    report = kbp.compare(model, model, accuracy=(1.0, 0.25))
    path = kbp.measure.plot_comparison(report, tmp_path / "bars.png", title="title")
    # parameters and FLOPs are full bars, accuracy a quarter
    blue, grey = share(path, BLUE), share(path, GREY)
    assert blue / (blue + grey) == pytest.approx(2.25 / 3, abs=0.05)
