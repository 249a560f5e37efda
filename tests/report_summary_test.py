"""The result of a search in a few lines."""

import pytest
from reports import HOSTILE, sample_report

from keras_basisprune.report.summary import summary, summary_html


def test_figures_in_ten_lines():
    report = sample_report(
        data={"name": "EuroSAT", "train": 9, "validation": 4, "test": None}
    )
    lines = summary(report).splitlines()
    assert len(lines) == 9
    assert lines[0] == "90.1 % of the FLOPs and 93.2 % of the parameters removed,"
    assert lines[1] == "  0.8 points of accuracy lost (budget 1.0)"
    assert lines[2].split() == ["parameters", "3,239,114", "→", "220,260", "93.2", "%"]
    assert lines[6].split() == [
        *("accuracy", "on", "validation", "95.1", "%", "→", "94.3", "%", "−0.8"),
        "points",
    ]
    assert lines[8] == (
        "  14 networks tried, 2 min, EuroSAT, 9 for train, 4 for validation"
    )
    assert len({line.index("→") for line in lines[2:8]}) == 1


def test_what_has_no_figures():
    report = sample_report(
        before_after=[], trials=0, chosen=None, met_budget=False, seconds={}
    )
    assert summary(report) == (
        "Nothing was removed: there was no trial.\n  0 networks tried, –"
    )
    assert "<td>" not in summary_html(report)


@pytest.mark.parametrize("count", [7, 40])
def test_many_figures_are_cut(count):
    rows = [{"label": f"row {i}", "before": 10, "after": i} for i in range(count)]
    assert len(summary(sample_report(before_after=rows)).splitlines()) <= 10
    assert summary_html(sample_report(before_after=rows)).count("<tr>") == count + 1


def test_names_are_only_text():
    report = sample_report(data={"name": HOSTILE})
    page = summary_html(report)
    assert "<script" not in page and "&lt;script&gt;" in page
    assert HOSTILE in summary(report)
