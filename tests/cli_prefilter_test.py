"""The command `prefilter`: files, lists and pictures; and what it refuses."""

import numpy as np
import pytest
from command_lines import refused, run
from relevance_encoders import images, maps

import keras_basisprune as kbp

pytest.importorskip("sklearn")
PIL_Image = pytest.importorskip("PIL.Image")
SOURCE, TARGET = images(30, 0), images(12, 1, 90)


@pytest.fixture
def place(tmp_path):
    maps().save(tmp_path / "encoder.keras")
    np.savez(tmp_path / "target.npz", x=TARGET)
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for number, image in enumerate(SOURCE):
        PIL_Image.fromarray(image).save(tmp_path / "photos" / "a" / f"{number:02d}.png")
    return tmp_path


def words(place, **given):
    flags = {
        "source": place / "photos",
        "target": place / "target.npz",
        "encoder": place / "encoder.keras",
        "output_dir": place / "out",
        **given,
    }
    return "prefilter", *(f"--{k}={v}" for k, v in flags.items() if v is not None)


def test_writes_lists_scores_and_a_contact_sheet(place, capsys):
    (place / "photos" / "a" / "03.png").write_bytes(b"none")
    code, out, err = run(capsys, *words(place, keep=0.2, cache_dir=place / "cache"))
    assert code == 0, err
    assert "6 of 29 images kept, by clusters." in out and "03.png" in out
    assert "Features of the source: 100%" in err
    source, target = np.delete(SOURCE, 3, axis=0), TARGET
    expected = kbp.data.select_relevant(source, target, maps(), keep=0.2, verbose=0)
    found = kbp.data.Relevance.load(place / "out" / "relevance.json")
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    kept = (place / "out" / "kept.txt").read_text().splitlines()
    assert kept == list(found.files) and len(kept) == 6
    assert kept == [found.names[i] for i in expected.indices]
    sheet = np.asarray(PIL_Image.open(place / "out" / "contact_sheet.png"))
    first = np.asarray(PIL_Image.open(place / "photos" / kept[0]))
    shown = PIL_Image.fromarray(first).resize((64, 64), PIL_Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(sheet[16:80, 4:68], shown)
    assert len(list((place / "cache").iterdir())) == 2
    names = sorted(path.name for path in (place / "out").iterdir())
    assert names == ["contact_sheet.png", "kept.txt", "relevance.json"]


def test_positions_where_there_are_no_names(place, capsys):
    np.save(place / "source.npy", SOURCE)
    given = {"source": place / "source.npy", "method": "domain", "image_size": 4}
    assert run(capsys, *words(place, **given))[0] == 0
    expected = kbp.data.select_relevant(
        SOURCE, TARGET, maps(), keep=0.12, method="domain", image_size=4, verbose=0
    )
    kept = (place / "out" / "kept.txt").read_text().split()
    assert kept == [str(i) for i in expected.indices]


def test_an_application_and_a_layer(place, capsys):
    given = {"encoder": "MobileNetV2", "weights": "none", "input_size": 32}
    assert run(capsys, *words(place, **given, keep=1))[0] == 0
    assert len((place / "out" / "kept.txt").read_text().splitlines()) == 30
    code, err = refused(capsys, *words(place, layer="head"))
    assert code == 1 and "--layer to be a layer of" in err and "conv2d" in err


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"source": None}, 2, "Expected --source: a folder of images"),
        ({"encoder": None}, 2, "Expected --encoder: a .keras file"),
        ({"keep": 0}, 2, "keep"),
        ({"method": "best"}, 2, "--method to be one of clusters, domain, random"),
        ({"method": "domain", "clusters": 3}, 2, "--clusters with --method=domain"),
        ({"weights": "none"}, 2, "--weights with a file as --encoder"),
        ({"data": "digits"}, 2, "--data, which is for"),
        ({"source": "nowhere"}, 1, "Expected --source to be arrays"),
        ({"encoder": "Mobilnet"}, 1, "Expected --encoder to be a .keras file or"),
    ],
)
def test_refusals(place, capsys, given, code, text):
    found, err = refused(capsys, *words(place, **given))
    assert found == code and text in err
    assert not (place / "out").exists()


def test_too_many_clusters(place, capsys):
    code, _, err = run(capsys, *words(place, clusters=99))
    assert code == 1 and "--clusters to be at most the number of target images" in err
    assert not (place / "out").exists()


def test_an_output_that_can_not_be_written_is_refused_first(place, capsys):
    (place / "out" / "kept.txt").mkdir(parents=True)
    code, err = refused(capsys, *words(place))
    assert code == 1 and "--output_dir" in err
    assert [path.name for path in (place / "out").iterdir()] == ["kept.txt"]


def test_contact_sheets(tmp_path):
    scores = np.arange(30.0)
    record = kbp.data.Relevance("random", 0.1, scores)
    shares = SOURCE.astype("float32") / 255
    for number, source in enumerate((SOURCE, shares, [SOURCE[:7], SOURCE[7:]])):
        path = tmp_path / f"{number}.png"
        kbp.data.contact_sheet(source, record, path, count=3, image_size=8)
        sheet = np.asarray(PIL_Image.open(path))
        np.testing.assert_array_equal(sheet[16:24, 4:12], SOURCE[29])  # the best
        np.testing.assert_array_equal(sheet[16:24, 28:36], SOURCE[27])
        below = 16 + 8 + 4 + 16
        np.testing.assert_array_equal(sheet[below + 16 :][:8, 4:12], SOURCE[0])
    with pytest.raises(ValueError, match="`source` to be that of.*29 images and 30"):
        kbp.data.contact_sheet(SOURCE[1:], record, tmp_path / "no.png")
    with pytest.raises(ValueError, match="`relevance` to be a"):
        kbp.data.contact_sheet(SOURCE, scores, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()
    one = kbp.data.Relevance("random", 1, [0.0])
    kbp.data.contact_sheet(SOURCE[:1], one, tmp_path / "one.png", image_size=8)
    assert np.asarray(PIL_Image.open(tmp_path / "one.png")).shape == (44, 100, 3)
