"""The benchmarks of diff pruning, on tiny networks and data."""

import inspect
import json

import keras
import numpy as np
import pytest
from benchmark_modules import benchmark
from families import FAMILIES
from models import identical
from task_networks import state

from benchmarks import delta_rows, text_corpus
from keras_basisprune.data.sources import ImageData

task_switching, _ = benchmark("task_switching")


def images():
    """Dark and light images."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(36) % 2)
    x = (rng.uniform(0, 1, (36, 6, 6, 3)) + y[:, None, None, None]).astype("float32")
    parts = [(x[s], y[s]) for s in (slice(0, 16), slice(16, 24), slice(24, 36))]
    return ImageData(*parts, ("dark", "light"), "random", "")


def test_rows_and_tables(tmp_path, capsys):
    model = FAMILIES["residual"]()
    before = state(model)
    data = images()
    arguments = (
        *(lambda seed: model, data, ["head", "norm", "gates"], [0.1], 1, [1e-3, 1e-2]),
        *({"epochs": 1, "fixed_epochs": 1, "batch_norm": "statistics"}, tmp_path),
    )
    rows = delta_rows.experiment(*arguments)
    assert [(row.way, row.share) for row in rows] == [
        ("head", 0.0),
        ("norm", 0.0),
        ("gates", 0.1),
    ]
    assert rows[0].stored == 0.0
    assert rows[1].stored > rows[2].stored - 0.1 > 0.0
    assert all(0.0 <= row.test <= 1.0 for row in rows)
    assert {row.rate for row in rows} <= {1e-3, 1e-2}
    assert identical(before, state(model))
    assert delta_rows.experiment(*arguments) == rows  # from the file
    text = delta_rows.table([*rows, delta_rows.Row("gates", 0.1, 1, 0, 0, 0.1, 1, 1)])
    assert text.count("\n") == 4
    mean = 100 * rows[2].test / 2
    assert "| gates | 10.00% | " in text and f"{mean:.2f} ± " in text
    printed = capsys.readouterr().out
    assert f"| norm | 0.00% | 0 | {100 * rows[1].validation:.2f} |" in printed


def test_switching_leaves_the_network_as_it_was():
    model = FAMILIES["depthwise"]()
    before = state(model)
    deltas = [task_switching.random_delta(model, 0.1, seed, True) for seed in (0, 1)]
    found = task_switching.measured(model, deltas, 1)
    ways = {"NumPy scatter", "TaskDelta", "put together again", "set_weights"}
    assert set(found) == ways
    assert all(value > 0 for value in found.values())
    in_numpy = task_switching.InNumPy(model, deltas)
    in_numpy.apply(1)
    deltas[1].apply_in_place(model)
    assert identical(in_numpy.arrays, model.get_weights())
    deltas[1].remove(model)
    in_numpy.remove(1)
    assert identical(in_numpy.arrays, model.get_weights())
    assert len(before) == len(model.variables)


def test_a_corpus_of_docstrings():
    found = text_corpus.corpus(("json", "email", "no_such_package"), most=20)
    assert found["packages"] == ["json", "email"]
    assert len(found["texts"]) == len(found["kind"]) == len(found["package"])
    assert 0 < (found["package"] == 0).sum() <= 20
    assert not any("json" in text for text in found["texts"])
    pairs = dict(text_corpus.docstrings("json"))
    assert set(pairs.values()) == {"class", "function", "method"}
    assert pairs[inspect.getdoc(json.JSONEncoder)] == "class"
    assert pairs[inspect.getdoc(json.dumps)] == "function"
    assert text_corpus.words_of("A JSON-file, v2", ("json",)) == [
        *("a", "-", "file", ",", "v", "2")
    ]


def test_half_of_the_texts_are_shuffled():
    texts = [[f"{n}a", f"{n}b", f"{n}c", f"{n}d"] for n in range(200)]
    found, labels = text_corpus.in_disorder(texts, 3, seed=1)
    again, same = text_corpus.in_disorder(texts, 3, seed=1)
    assert found == again and labels.tolist() == same.tolist()
    assert 80 < labels.sum() < 120
    for text, words, label in zip(texts, found, labels, strict=True):
        assert sorted(words) == text[:3]
        assert not label or words == text[:3]
    moved = sum(a[:3] != b for a, b in zip(texts, found, strict=True))
    assert 0.7 * (labels == 0).sum() < moved <= (labels == 0).sum()


def test_words_are_hidden_and_told():
    known = text_corpus.vocabulary([["b", "a", "b"], ["b", "c", "a"]], 6)
    assert known == {"b": 4, "a": 5}
    x = text_corpus.encoded([["b", "c", "a"], ["a"]], known, 5)
    assert x["token_ids"].tolist() == [[3, 4, 2, 5, 0], [3, 5, 0, 0, 0]]
    assert x["padding_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]
    ids, places, hidden, weights = text_corpus.masked(x["token_ids"], 2, 0)
    assert weights.tolist() == [[1, 1], [1, 0]]
    assert sorted(places[0]) == [1, 3]
    assert ids[0].tolist() == [3, 1, 2, 1, 0]
    assert ids[1].tolist() == [3, 1, 0, 0, 0]
    assert sorted(hidden[0]) == [4, 5]


def test_text_tasks(tmp_path):
    pytest.importorskip("keras_hub")
    text_tasks, _ = benchmark("text_tasks")
    sizes = text_tasks.Sizes(40, 24, 12, 1, 2, 8, 60, 1, ("json", "email"))
    options = {"epochs": 1, "fixed_epochs": 1}
    ways = ["head", "gates", "scratch"]
    found = text_tasks.experiments(
        *(sizes, ["kind", "order"], ways, [0.1], 1, [1e-3], options, tmp_path)
    )
    assert list(found) == ["kind", "order"]
    for head, gates, scratch in found.values():
        assert head.stored == 0
        assert gates.stored == pytest.approx(0.1, abs=0.001)
        assert (scratch.way, scratch.stored) == ("scratch", 1.0)
    with pytest.raises(OSError, match="save_to_preset.*--preset=FOLDER"):
        text_tasks.preset_bert(str(tmp_path / "nowhere"))
    keras.backend.clear_session()
