"""Two reports side by side: as text, as a page, in a notebook."""

import json
import re

import pytest
from reports import HOSTILE, sample_report

from keras_basisprune.report import compare_reports


def write(folder, **changes):
    folder.mkdir()
    report = sample_report(**changes)
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return report


@pytest.fixture
def both(tmp_path):
    """Two reports; the second has other layers, figures, arguments and forms."""
    first = write(tmp_path / "first")
    rows = sample_report()["before_after"]
    rows[0]["after"] = rows[0]["before"]
    form = {
        "model": "small",
        "form": "int8",
        "bytes": 7000,
        "milliseconds": 0.5,
        "score": 0.75,
        "float_share": None,
        "in_float": {},
        "reason": None,
        "rounding": "trained",
    }
    failed = {**form, "form": "float16", "reason": "ValueError: no"}
    second = write(
        tmp_path / "second",
        before_after=rows,
        forms=[form, failed],
        arguments={"cost": "params", "ship": "int8"},
        layers=2,
    )
    return compare_reports(tmp_path / "first", tmp_path / "second"), first, second


def tables(found):
    return {
        section.title: {row[0]: row[1:] for row in section.rows}
        for section in found.sections
    }


def plain(values):
    return [" ".join(value.split()) for value in values]


def test_figures_of_both_are_in_the_tables(both):
    found, first, second = both
    by_title = tables(found)
    row = next(r for r in first["before_after"] if r["label"] == "parameters")
    assert plain(by_title["Before and after"]["parameters"]) == [
        f"{row['before']:,}",
        f"{row['after']:,} ({100 * (1 - row['after'] / row['before']):.1f} %)",
        f"{row['before']:,} (0.0 %)",
    ]
    assert plain(by_title["LiteRT files of the small networks"]["int8"]) == [
        "–",
        "75.0 %, 7 kB, 0.5 ms, trained",
    ]
    assert plain(by_title["LiteRT files of the small networks"]["float16"]) == [
        "–",
        "–",
    ]
    assert by_title["The runs"]["judged as"] == ("Keras", "int8")
    assert by_title["The runs"]["trials"] == (str(len(first["trials"])),) * 2
    assert by_title["Arguments that differ"]["cost"] == ("flops", "params")
    assert "seed" not in by_title["Arguments that differ"]
    assert "Versions that differ" not in by_title


def test_layers_that_differ(both):
    found, first, second = both
    rows = tables(found)["Layers that differ"]
    same = {layer["name"] for layer in first["layers"]} & {
        layer["name"] for layer in second["layers"]
    }
    for layer in first["layers"]:
        if layer["name"] not in same:
            assert rows[layer["name"]][1] == "–"
    one = next(x for x in first["layers"] if x["channels"] and x["name"] in rows)
    kept, total = one["channels"]
    assert f"channels {kept} of {total}" in rows[one["name"]][0]


def test_text_holds_what_the_page_holds(both, tmp_path):
    found, _, _ = both
    text = str(found)
    path = found.save(tmp_path / "page.html")
    page = path.read_text(encoding="utf-8")
    assert found._repr_html_() in page
    for section in found.sections:
        assert section.title in text
        assert f"<h2>{section.title}</h2>" in page
        for row in section.rows:
            for cell in row:
                assert cell.replace("\N{NO-BREAK SPACE}", " ") in text
    assert text.startswith(f"{tmp_path / 'first'}: 90.1 % of the FLOPs and 93.2 %")
    assert page.count("<table>") == len(found.sections)
    assert re.findall('(?:src|href)="([^"]*)"', page) == ["data:,"]
    assert len(page) < 100_000


def test_a_metric_that_is_no_share(tmp_path):
    changes = {"share": False, "mode": "min", "metric": "mean_absolute_error"}
    write(tmp_path / "a", baseline=0.125, least=0.13, **changes)
    write(tmp_path / "b")
    rows = tables(compare_reports(tmp_path / "a", tmp_path / "b"))["The runs"]
    assert plain(rows["original"]) == ["0.125", "95.1 %"]
    assert plain(rows["budget"]) == ["0.13", "94.1 %"]
    assert rows["metric"] == ("mean_absolute_error", "accuracy")


def test_the_same_report_twice_has_no_differences(tmp_path):
    write(tmp_path / "a")
    found = compare_reports(tmp_path / "a", str(tmp_path / "a"))
    assert list(tables(found)) == ["The runs", "Before and after"]


def test_hostile_names_are_only_text(tmp_path):
    write(tmp_path / "a", model={"name": HOSTILE})
    write(tmp_path / "b", arguments={HOSTILE: HOSTILE})
    found = compare_reports(tmp_path / "a", tmp_path / "b")
    page = found.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert HOSTILE in str(found)


def test_what_is_no_report(tmp_path):
    write(tmp_path / "a")
    with pytest.raises(ValueError, match="Expected `folder` to hold a `report.json`"):
        compare_reports(tmp_path / "a", tmp_path / "missing")
    with pytest.raises(ValueError, match="`second` to be a path"):
        compare_reports(tmp_path / "a", 5)
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ValueError, match="`path` to leave room for a file"):
        compare_reports(tmp_path / "a", tmp_path / "a").save(tmp_path / "page.html")
