"""State that is damaged, used by another search, or in the way of a folder."""

import json

import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.search.locked import locked

SEARCH = {
    "max_drop": 0.05,
    "methods": ["channels"],
    "recover": "all",
    "epochs": 1,
    "config": kbp.SearchOptions(samples=150, rounds=1),
    "verbose": 0,
}


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits, epochs=3)


def run(model, digits, folder, **changes):
    arguments = {**SEARCH, **changes}
    return kbp.compress(
        model, digits.train, digits.validation, output_dir=folder, **arguments
    )


def everything(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_an_exchanged_network_is_named_and_trained_again(model, digits, tmp_path):
    first = run(model, digits, tmp_path)
    path = next((tmp_path / "state").glob("round_1*.keras"))
    whole = path.read_bytes()
    digits_model.trained(digits, epochs=1).save(path)
    left = (".small.keras.abcd1234", ".report.html.abcd1234")
    for name in left:
        (tmp_path / name).mkdir()
    with pytest.warns(UserWarning, match=f"{path.name} is not as this search has"):
        again = run(model, digits, tmp_path)
    assert repr(again.trials[:-1]) == repr(first.trials[:-1])
    for ours, theirs in zip(
        again.model.get_weights(), first.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    path.write_bytes(whole[:100])
    with pytest.warns(UserWarning, match=f"{path.name} is not as this search has"):
        again = run(model, digits, tmp_path)
    assert again.report.params_ratio == first.report.params_ratio
    assert not any((tmp_path / name).exists() for name in left)  # swept
    names = {path.name for path in (tmp_path / "state").iterdir()}
    assert "owner.json" not in names

    # While another search is at work there, nothing is touched.
    before = everything(tmp_path)
    with locked(tmp_path / "state"):
        with pytest.raises(ValueError, match="used by one search at a time.*process"):
            run(model, digits, tmp_path)
    assert everything(tmp_path) == before

    # A state of before there were checksums.
    state = tmp_path / "state" / "state.json"
    content = json.loads(state.read_text())
    state.write_text(json.dumps({**content, "version": 1}))
    text = rf"version 1, which another .*Delete the folder {tmp_path / 'state'} to"
    with pytest.raises(ValueError, match=text):
        run(model, digits, tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out/report.html/mine", "report.html', which is a folder and stays as it is"),
        ("out/small.keras/mine", "small.keras', which is a folder"),
        ("out/plans.json/mine", "plans.json', which is a folder"),
        ("out/original_float32.tflite/mine", "tflite', which is a folder"),
        ("out/state", "leave room for a folder.*state', which is no folder"),
        ("out", "to leave room for a folder.*out', which is no folder"),
    ],
)
def test_what_is_in_the_way_stays_and_nothing_is_done(
    model, digits, tmp_path, name, text
):
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=f"`output_dir` .*{text}"):
        run(model, digits, tmp_path / "out")
    assert everything(tmp_path) == before


def test_links_that_lead_nowhere_are_refused_and_others_stay(model, digits, tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`output_dir` to be no link to nothing"):
        run(model, digits, tmp_path / "out")
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "far.keras").write_text("old")
    (tmp_path / "out" / "small.keras").symlink_to(tmp_path / "far.keras")
    result = run(model, digits, tmp_path / "out", recover=None)
    assert (tmp_path / "out" / "small.keras").is_symlink()
    far = keras.models.load_model(tmp_path / "far.keras")
    for ours, theirs in zip(far.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_interrupt_of_the_call_says_that_it_goes_on(model, digits, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    for folder, text in ((tmp_path / "out", "The same call continues"), (None, "kept")):
        with pytest.raises(KeyboardInterrupt) as stop:
            run(model, digits, folder, callbacks=[Stop()])
        assert text in stop.value.__notes__[0]
    result = run(model, digits, tmp_path / "out")
    assert result.met_budget
    assert result.report.params_ratio < 1
