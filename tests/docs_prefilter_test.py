"""Holds that the example of docs/prefilter.md runs, and does what it says."""

import pathlib
import re

import pytest

import keras_basisprune as kbp

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "prefilter.md"


def test_digits_come_first(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    found, text = {}, PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), found)
    shares = found["shares"]
    for keep in (0.06, 0.12, 0.25):
        assert shares["clusters", keep] > 0.85
        assert shares["domain", keep] > 0.9
        assert 0.15 < shares["random", keep] < 0.35
    assert len(kbp.data.Relevance.load("domain.json").indices) == 240
    assert image.open("contact_sheet.png").size[0] == 8 * 68 + 4
