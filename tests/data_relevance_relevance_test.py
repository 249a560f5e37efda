"""The record of scores: shares of it, and JSON."""

import json

import numpy as np
import pytest

import keras_basisprune as kbp

Relevance = kbp.data.Relevance
SCORES = [0.5, -1e-17, 0.1 + 0.2, 0.5, -3e200]
RECORD = Relevance("domain", 0.4, SCORES, list("abcde"), ["x: damaged"])


def test_best_first_and_ties_in_the_order_of_the_source():
    assert RECORD.order.tolist() == [0, 3, 2, 1, 4]
    assert RECORD.indices.tolist() == [0, 3] and RECORD.files == ("a", "d")
    assert RECORD.at(1).indices.tolist() == [0, 3, 2, 1, 4]
    assert RECORD.at(1e-9).files == ("a",)
    assert Relevance("random", 0.5, [1, 2, 3, 4, 5]).indices.tolist() == [4, 3]
    assert Relevance("random", 0.5, [1, 2]).files == ()
    assert repr(RECORD) == "Relevance(method='domain', keep=0.4, 2 of 5 images)"


def test_json_and_files_lose_nothing(tmp_path):
    copy = Relevance.from_json(RECORD.to_json())
    assert copy == RECORD and copy.scores.tolist() == SCORES
    assert copy.skipped == ("x: damaged",)
    odd = Relevance("random", 1, [0.0], ["\udcff \n.png"])
    odd.save(tmp_path / "odd.json")
    assert Relevance.load(tmp_path / "odd.json") == odd != RECORD
    assert [path.name for path in tmp_path.iterdir()] == ["odd.json"]
    assert RECORD != RECORD.at(0.5) and RECORD != "record"


def test_scores_are_copied_and_read_only():
    scores = np.arange(3.0)
    record = Relevance("clusters", 1, scores)
    scores[:] = 7
    assert record.scores.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        record.scores[0] = 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (("best", 0.5, [1]), "`method`"),
        (("random", 0, [1]), "`keep`"),
        (("random", 0.5, []), "`scores` to be finite numbers, at least one"),
        (("random", 0.5, [1, np.nan]), "`scores`"),
        (("random", 0.5, [[1]]), "`scores`"),
        (("random", 0.5, "abc"), "`scores`"),
        (("random", 0.5, [1, 2], ["a"]), "1 names and 2 scores"),
        (("random", 0.5, [1], [1]), "`names` to be strings"),
        (("random", 0.5, [1], "a"), "`names` to be strings"),
        (("random", 0.5, [1], (), [None]), "`skipped` to be strings"),
    ],
)
def test_refused_fields(fields, text):
    with pytest.raises(ValueError, match=text):
        Relevance(*fields)


def test_refused_texts(tmp_path):
    whole = RECORD.to_json()
    lacking = {k: v for k, v in json.loads(whole).items() if k != "scores"}
    for text in (None, "", whole[:-9], "[]", "{}", json.dumps(lacking)):
        with pytest.raises(ValueError, match="`text` to be what `Relevance.to_json`"):
            Relevance.from_json(text)
    with pytest.raises(ValueError, match="which can't be read"):
        Relevance.load(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="which can't be read"):
        Relevance.load(tmp_path / "bytes.json")
