"""The report page as text: its numbers, its errors, and that it loads nothing."""

import base64
import gzip
import hashlib
import html.parser
import json
import math
import os
import re

import numpy as np
import pytest
from reports import HOSTILE, sample_report

from keras_basisprune.report import write_report


class Page(html.parser.HTMLParser):
    """Tables by section, texts, links and data of a page."""

    VOID = {"meta", "link", "br", "img", "input", "hr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.headings, self.ids = [], [], []
        self.tables, self.data, self.loads, self.policy = {}, {}, [], None
        self.section = self.rows = self.script = None
        self.text = self.title = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "section":
            self.section = attributes["id"]
        elif tag == "table":
            self.rows = self.tables.setdefault(self.section, [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "script":
            self.script = attributes.get("id", "")
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        self.loads += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "script":
            self.script = None

    def handle_data(self, data):
        if self.script is not None:
            self.data[self.script] = self.data.get(self.script, "") + data
        elif "style" not in self.open:
            self.text += data
            self.title += data if self.open[-1:] == ["h1"] else ""
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data

    def table(self, section):
        """Rows of a section, with plain spaces, keyed by their first cell."""
        rows = [
            [" ".join(cell.split()) for cell in row] for row in self.tables[section]
        ]
        return {row[0]: row[1:] for row in rows}

    def figures(self):
        return json.loads(self.data["figures"])


SECTIONS = (
    *("before-after", "forms", "trials", "classes", "layers", "pictures", "spectra"),
    *("alone", "equality", "training", "run"),
)


def write(folder, report):
    """Writes `report.json` and the page of it, and reads the page."""
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    path = write_report(folder)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def page_of(folder, **changes):
    report = sample_report(**changes)
    return write(folder, report), report


def plain(text):
    return " ".join(text.split())


def test_headline_says_what_was_removed_and_lost(tmp_path):
    page, _ = page_of(tmp_path)
    assert plain(page.title) == (
        "90.1 % of the FLOPs and 93.2 % of the parameters removed, "
        "0.8 points of accuracy lost (budget 1.0)"
    )


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        ("params", "93.2 % of the parameters and 90.1 % of the FLOPs removed"),
        ("latency", "80.3 % of the time, 90.1 % of the FLOPs and 93.2 % of the param"),
        ("bytes", "92.8 % of the file size, 90.1 % of the FLOPs and 93.2 % of the p"),
    ],
)
def test_headline_begins_with_the_cost(tmp_path, cost, start):
    page, _ = page_of(tmp_path, arguments={"cost": cost})
    assert plain(page.title).startswith(start)


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (0.951, "removed, no accuracy lost (budget 1.0)"),
        (0.961, "removed, 1.0 point of accuracy gained (budget 1.0)"),
        (0.9507, "removed, no accuracy lost (budget 1.0)"),
    ],
)
def test_headline_tells_gain_from_loss(tmp_path, after, end):
    rows = sample_report()["before_after"]
    rows[4]["after"] = after
    page, _ = page_of(tmp_path, before_after=rows)
    assert plain(page.title).endswith(end)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"trials": 0}, "there was no trial."),
        ({"trials": 0, "layers": 1}, "no layer could be made smaller."),
        ({"least": None}, "the original's score is not known."),
    ],
)
def test_headline_says_why_nothing_was_removed(tmp_path, changes, why):
    page, _ = page_of(tmp_path, met_budget=False, chosen=None, **changes)
    assert plain(page.title) == f"Nothing was removed: {why}"


def test_headline_names_the_best_that_was_not_enough(tmp_path):
    report = sample_report(met_budget=False, chosen=None)
    for trial in report["trials"]:
        trial["good_enough"] = False
        if trial["score"] is not None:
            trial["score"] = 0.5 + trial["kept"] / 5
    assert plain(write(tmp_path, report).title) == (
        "Nothing was removed: no trial kept 94.1 % accuracy, the least that the budget "
        "allows; the best reached 60.0 %."
    )
    report["trials"][0]["good_enough"] = True
    assert plain(write(tmp_path, report).title) == (
        "Nothing was removed: no network stayed within the budget once it was folded."
    )


def test_headline_tells_a_margin_from_the_budget(tmp_path):
    report = sample_report(met_budget=False, chosen=None)
    report["arguments"]["margin"] = 1.5
    for trial in report["trials"]:
        trial |= {"good_enough": False, "score": 0.943}
    page = write(tmp_path, report)
    assert plain(page.title) == (
        "Nothing was removed: no trial kept 94.1 % accuracy, the least that the budget "
        "allows, by the margin of 1.5 standard errors; the best reached 94.3 %."
    )
    told = (
        "had to be better than that by 1.5 standard errors, and in round n by √n times"
    )
    assert told in plain(page.text)


def test_how_sure_the_loss_is(tmp_path):
    text = "On the validation data 0.78 points were lost, give or <take>."
    page, _ = page_of(tmp_path, loss_statement=text)
    assert text in plain(page.text)
    for nothing in ({}, {"loss_statement": ""}):
        assert "were lost" not in page_of(tmp_path, **nothing)[0].text


def test_reports_of_version_1_have_other_names(tmp_path):
    old = {"certainty": "Certainly <lost>.", "classes": "Class <7> fell."}
    row = {"class": 7, "images": 3, "before": 1.0, "after": 0.0}
    page, _ = page_of(tmp_path, version=1, recall=[row], **old)
    for text in old.values():
        assert text in plain(page.text)
    page, _ = page_of(tmp_path, version=1, arguments={"objective": "params"})
    assert plain(page.title).startswith("93.2 % of the parameters and 90.1 % of the F")
    with pytest.raises(ValueError, match="to have a complete 'loss_statement'"):
        page_of(tmp_path, version=1, certainty=3)


def test_before_and_after(tmp_path):
    page, _ = page_of(tmp_path)
    assert page.table("before-after") == {
        "quantity": ["before", "after", "removed"],
        "parameters": ["3,239,114", "220,260", "93.2 %"],
        "FLOPs": ["92,528,640", "9,160,335", "90.1 %"],
        "LiteRT float32 file": ["13 MB", "941 kB", "92.8 %"],
        "latency": ["4.21 ms", "0.83 ms", "80.3 %"],
        "accuracy on validation": ["95.1 %", "94.3 %", "−0.8 points"],
        "accuracy on test": ["94.5 %", "93.9 %", "−0.6 points"],
    }


def test_before_and_after_of_odd_values(tmp_path):
    rows = [
        {"label": "parameters", "before": 100000, "after": 1},
        {"label": "FLOPs", "before": 1000, "after": 1100},
        {"label": "bytes", "before": 0, "after": 12},
        {"label": "milliseconds", "before": None, "after": 1250},
        {"label": "agreement_on_validation", "before": 1.0, "after": 1.0},
        {"label": "accuracy on test", "before": 0.5, "after": None},
    ]
    page, _ = page_of(tmp_path, before_after=rows)
    table = page.table("before-after")
    assert table["parameters"] == ["100,000", "1", "99.999 %"]
    assert table["FLOPs"] == ["1,000", "1,100", "10.0 % more"]
    assert table["file size"] == ["0 bytes", "12 bytes", "–"]
    assert table["latency"] == ["–", "1,250 ms", "–"]
    assert table["agreement on validation"] == ["100.0 %", "100.0 %", "0.0 points"]
    assert table["accuracy on test"] == ["50.0 %", "–", "–"]


def test_trials_are_a_table_and_a_chart(tmp_path):
    page, report = page_of(tmp_path)
    rows = page.table("trials")
    assert len(rows) == 1 + len(report["trials"])
    first, broken = report["trials"][0], rows["5"]
    assert rows["1"] == [
        *("1", "50.0 %", f"{100 * first['score']:.1f} %", "± 0.31", "no", "yes"),
        *("40.0 %", "50.0 %", "0.33", "11.2"),
    ]
    assert broken[2:6] == ["not a number", "–", "no", "no"]
    name = f"{report['chosen'] + 1} (chosen)"
    chosen = report["trials"][report["chosen"]]
    assert rows[name][1] == f"{100 * chosen['kept']:.1f} %"

    figure = page.figures()["trade_off"]
    drawn = sorted(
        point
        for trace in figure["data"]
        if trace.get("meta") == "trials"
        for point in zip(trace["x"], trace["y"], strict=True)
    )
    scored = [trial for trial in report["trials"] if trial["score"] is not None]
    assert drawn == sorted((100 * t["kept"], 100 * t["score"]) for t in scored)
    assert len({t["marker"]["symbol"] for t in figure["data"] if "marker" in t}) == 2
    ring = figure["data"][-1]
    assert (ring["x"], ring["y"]) == ([100 * chosen["kept"]], [100 * chosen["score"]])
    assert [line["y0"] for line in figure["layout"]["shapes"]] == [95.1, 94.1]


def test_layers_are_a_table_and_a_chart(tmp_path):
    page, report = page_of(tmp_path)
    rows = page.table("layers")
    assert len(rows) == 1 + len(report["layers"])
    for layer in report["layers"]:
        row, (before, after) = rows[layer["name"]], layer["params"]
        assert row[0] == layer["kind"]
        rank = "{} of {}".format(*layer["rank"]) if layer["rank"] else "–"
        assert row[1:3] == [rank, "{} of {}".format(*layer["channels"])]
        assert row[3] == f"{before:,} → {after:,}"
    for name in ("layers", "layers_narrow"):
        bars = {trace.get("name"): trace for trace in page.figures()[name]["data"]}
        shares = [100 * kept / total for kept, total in _pairs(report, "rank")]
        assert bars["kept rank"]["x"] == pytest.approx(shares)
        pairs = _pairs(report, "channels")
        assert bars["kept channels"]["x"] == pytest.approx(
            [100 * a / b for a, b in pairs]
        )
        assert bars["all channels"]["text"] == [f"{a} / {b}" for a, b in pairs]


def _pairs(report, key):
    return [layer[key] for layer in report["layers"] if layer[key]]


def test_predicted_losses_beside_what_was_lost(tmp_path):
    report = sample_report(trials=6)
    given = (0.5, None, 0.02, 1.5, 0.3, 0.0)  # the fifth trial has no score
    for trial, loss in zip(report["trials"], given, strict=True):
        trial |= {"predicted": loss, "method": HOSTILE}
    report["trials"][0]["to_channels"] = 1.0
    report["trials"][2]["to_channels"] = None
    page = write(tmp_path, report)
    rows = page.table("predicted")
    assert list(rows) == ["trial", "1", "3", "4", "5", "6"]
    assert rows["1"][0] == HOSTILE
    assert [row[2] for row in rows.values()][1:] == ["0.5", "0.02", "1.5", "0.3", "0"]
    lost = [95.1 - 100 * trial["score"] for trial in report["trials"] if trial["score"]]
    assert rows["1"][3] == f"{lost[0]:.1f}"
    assert rows["5"][3] == "–"
    channels, both = page.figures()["predicted"]["data"]
    assert channels["x"] == [0.5, 0.02]
    assert channels["y"] == pytest.approx([lost[0], lost[2]])
    assert channels["customdata"][1].startswith("trial 3, ")
    assert (both["name"], both["x"]) == ("channels and bases", [1.5])
    assert both["y"] == pytest.approx([lost[3]])
    (line,) = page.figures()["predicted"]["layout"]["shapes"]
    assert line["y0"] == pytest.approx(1.0)  # the budget
    assert "#predicted" in page.loads


def test_nothing_is_said_of_predictions_where_there_are_none(tmp_path):
    for predicted in ({}, {"predicted": None}):  # of an older version, or trained
        report = sample_report()
        for trial in report["trials"]:
            trial |= predicted
        page = write(tmp_path, report)
        assert "predicted" not in page.ids
        assert "predicted" not in page.figures()
        assert "#predicted" not in page.loads


def test_spectra_are_a_table_and_charts(tmp_path):
    page, report = page_of(tmp_path)
    rows = page.table("spectra")
    charts = json.loads(page.data["spectrum-figures"])
    assert len(charts) == len(report["spectra"]) == len(rows) - 1
    ranks = {layer["name"]: layer["rank"] for layer in report["layers"]}
    for spectrum, chart in zip(report["spectra"], charts, strict=True):
        values, rank = spectrum["singular_values"], spectrum["rank"]
        kept, cells = rows[spectrum["name"]]
        assert kept == str(rank)
        shown = cells.removeprefix(f"{len(values)} values").replace("cut ", "")
        assert shown == ", ".join(f"{value:.3g}" for value in values)
        assert cells.split("cut ")[0].count(",") == rank
        traces = {trace["meta"]: trace["y"] for trace in chart["figure"]["data"]}
        assert traces["kept"] == pytest.approx(values[:rank], rel=1e-3)
        assert traces["removed"] == pytest.approx(values[rank:], rel=1e-3)
        assert chart["figure"]["layout"]["shapes"][0]["x0"] == rank + 0.5
        assert ranks[chart["name"]][0] == rank
        total = ranks[chart["name"]][1]
        assert chart["caption"].startswith(f"{rank} of {total} kept.")


def test_layers_left_alone(tmp_path):
    page, report = page_of(tmp_path)
    assert page.table("alone") == {
        "layer": ["kind", "reason"],
        report["layers"][-1]["name"]: [
            "Conv2D",
            "its output is the output of the model",
        ],
    }


def test_certificate_in_words_and_numbers(tmp_path):
    page, report = page_of(tmp_path)
    assert "Passed: all 4 steps compute the same as what they" in page.text
    row = page.table("equality")["converted against original"]
    assert row == ["1.2e-06", "1.0e-04", "✓ passed"]
    rows = report["equality"]
    rows[1]["difference"], rows[3]["difference"] = math.nan, 0.25
    page, _ = page_of(tmp_path, equality=rows)
    assert "Failed: 2 of 4 differ (pruned, LiteRT float32)." in page.text
    table = page.table("equality")
    assert table["pruned against masked"] == ["not a number", "1.0e-04", "✗ failed"]
    assert table["LiteRT float32 against folded"][0] == "2.5e-01"


def test_history_time_arguments_versions_and_seed(tmp_path):
    page, report = page_of(tmp_path)
    rows = page.table("training")
    assert rows["epoch"] == ["loss", "accuracy", "val_accuracy", "learning_rate"]
    assert rows["2"] == ["0.31", "0.9", "0.925", "0.001"]
    curves = page.figures()["history_1"]["data"]
    assert [(c["name"], c["y"]) for c in curves] == [
        (name, report["history"][name]) for name in ("accuracy", "val_accuracy")
    ]
    run = page.table("run")
    assert run["in all"] == ["2 min"] and run["evaluation"] == ["10.2 s"]
    assert run["seed"] == ["7"] and run["keras"] == ["3.15.1"]
    assert run["methods"] == ["['basis', 'channels']"] and run["max_drop"] == ["0.01"]


def test_everything_may_be_empty(tmp_path):
    page, _ = page_of(
        tmp_path,
        layers=0,
        trials=0,
        met_budget=False,
        chosen=None,
        baseline=None,
        least=None,
        before_after=[],
        equality=[],
        history={},
        seconds={},
        arguments={},
        versions={},
        seed=None,
        model={"name": "m"},
    )
    assert page.figures() == {} and page.data["spectrum-figures"] == "[]"
    assert "Nothing was measured" in page.text
    assert {"before-after", "run"} == {name for name in page.ids if name in SECTIONS}
    links = [link for link in page.loads if link.startswith("#")]
    assert links == ["#before-after", "#run"]


def test_numbers_that_are_not_finite(tmp_path):
    report = sample_report()
    for trial in report["trials"]:
        trial["score"] = math.nan
    report["spectra"][0]["singular_values"][2:] = [0.0, math.inf, None]
    report["spectra"][0]["rank"] = 2
    report["history"]["loss"][1:] = [math.nan]
    report |= {"chosen": None, "met_budget": False}
    page = write(tmp_path, report)
    assert "no trial had a finite accuracy" in page.title
    assert "trade_off" not in page.figures()
    assert [row[2] for row in list(page.table("trials").values())[1:]] == [
        "not a number"
    ] * 14
    chart = json.loads(page.data["spectrum-figures"])[0]
    assert chart["figure"]["data"][1]["y"] == [None, None, None]
    assert page.table("training")["2"][0] == "–"


def test_a_spectrum_may_be_longer_than_what_is_stored(tmp_path):
    report = sample_report()
    name = report["layers"][1]["name"]
    report["layers"][1]["rank"] = [400, 512]
    stored = {"name": name, "singular_values": [1.0, 0.5, 0.25], "rank": 400}
    whole = {"name": "other", "singular_values": [1.0, 0.5], "rank": None}
    page = write(tmp_path, {**report, "spectra": [stored, whole]})
    first, second = json.loads(page.data["spectrum-figures"])
    assert first["caption"] == "400 of 512 kept. The first 3 are shown."
    assert first["figure"]["layout"].get("shapes") is None
    assert second["caption"] == "Not cut: all 2 are kept."


def test_many_layers_get_room(tmp_path):
    page, _ = page_of(tmp_path, layers=120, trials=60)
    figures = page.figures()
    assert figures["layers"]["layout"]["height"] > 120 * 20
    assert len(figures["layers"]["layout"]["yaxis"]["tickvals"]) == 120
    assert figures["layers_narrow"]["layout"]["height"] > 120 * 40
    assert len(page.table("layers")) == 121


def test_hostile_names_are_only_text(tmp_path):
    page, _ = page_of(tmp_path, model={"name": HOSTILE}, arguments={HOSTILE: HOSTILE})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "</script>&amp;" not in text
    assert HOSTILE in page.text and HOSTILE in page.table("layers")
    assert page.ids == list(dict.fromkeys(page.ids))
    data = page.figures()["layers"]["data"][0]["customdata"][0][0]
    assert data == HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(
        ">", "&gt;"
    )


def test_loads_nothing_and_forbids_it(tmp_path):
    page, _ = page_of(tmp_path)
    assert page.loads
    assert [
        link for link in page.loads if not re.match("#[a-z-]+$|data:,$", link)
    ] == []
    assert {link[1:] for link in page.loads if link[0] == "#"} <= set(page.ids)
    assert page.policy.startswith("default-src 'none'")
    assert "connect-src" not in page.policy
    styles = re.findall(
        "<style>(.*?)</style>",
        (tmp_path / "report.html").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert styles and not any("url(" in text or "@import" in text for text in styles)


def test_headings_are_in_order(tmp_path):
    page, _ = page_of(tmp_path)
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def test_same_report_same_page(tmp_path):
    page_of(tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    page_of(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first


def test_no_report(tmp_path):
    with pytest.raises(ValueError, match="Expected `folder` to hold a `report.json`"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match=r"missing'.*Pass the `output_dir`"):
        write_report(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "to be JSON. Received a file that can't be read"),
        ("[]", "of version 1 or 2. Received: version=None. Use the version"),
        ('{"version": 3}', "of version 1 or 2. Received: version=3. Use the version"),
        ('{"version": 1}', "to have a complete 'versions'. Received: nothing. Pass"),
    ],
)
def test_broken_report(tmp_path, text, message):
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path)
    assert os.listdir(tmp_path) == ["report.json"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trials", [{"round": 1}]),
        ("layers", [{"name": "a", "kind": "b", "channels": [1]}]),
        ("spectra", [{"name": "a", "singular_values": ["x"], "rank": 1}]),
        ("history", {"loss": 3}),
        ("baseline", "high"),
        ("seconds", {"in all": "long"}),
        ("chosen", 99),
        ("met_budget", None),
    ],
)
def test_an_error_leaves_the_old_page(tmp_path, field, value):
    page_of(tmp_path)
    old = (tmp_path / "report.html").read_bytes()
    report = {**sample_report(), field: value}
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"'{field}'.*Pass the `output_dir`"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["report.html", "report.json"]


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    page_of(tmp_path)
    old = (tmp_path / "report.html").read_bytes()

    def refuse(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["report.html", "report.json"]


def test_recall_of_classes_and_bounds(tmp_path):
    rows = [
        {"class": 0, "images": 1200, "before": 0.95, "after": 0.94, "lost": 12},
        {"class": 7, "images": 3, "before": 1.0, "after": 0.0, "lost": 3},
    ]
    report = sample_report(recall=rows, class_warning="Class <7> fell.")
    report["trials"][report["chosen"]]["bound"] = 0.0234
    page = write(tmp_path, report)
    assert page.table("classes") == {
        "class": ["images", "before", "after"],
        "0": ["1,200", "95.0 %", "94.0 %"],
        "7": ["3", "100.0 %", "0.0 %"],
    }
    assert "Class <7> fell." in plain(page.text)
    assert plain(page.title).endswith("(budget 1.0, up to 2.3 on other images)")
    number = f"{report['chosen'] + 1} (chosen)"
    at = page.table("trials")["trial"].index("lost at most")
    assert page.table("trials")[number][at] == "2.3"


def test_reports_of_older_versions_have_no_classes(tmp_path):
    page = write(tmp_path, sample_report())
    assert "Recall of each class" not in plain(page.text)
    assert plain(page.title).endswith("(budget 1.0)")


@pytest.mark.parametrize("wrong", [5, [{"class": 1}], {"class": 1}, None])
def test_recall_that_is_none(tmp_path, wrong):
    with pytest.raises(ValueError, match="to have a complete 'recall'"):
        write(tmp_path, sample_report(recall=wrong))


def test_a_folder_of_the_users_stays(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(sample_report()))
    (tmp_path / "report.html" / "mine").mkdir(parents=True)
    (tmp_path / "report.html" / "mine" / "notes").write_text("mine")
    with pytest.raises(ValueError, match="`folder` to leave room for a file.*a folder"):
        write_report(tmp_path)
    assert (tmp_path / "report.html" / "mine" / "notes").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.html",
        "report.json",
    ]


def test_pictures_of_channels_are_in_the_page(tmp_path):
    pictures = [
        {"layer": HOSTILE, "png": "iVBORw0KGgo="},
        {"layer": "b", "png": "AA=="},
    ]
    report = sample_report(pictures=pictures)
    (tmp_path / "report.json").write_text(json.dumps(report))
    text = write_report(tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    found = [source for source in page.loads if source.startswith("data:image/png")]
    assert found == [f"data:image/png;base64,{picture['png']}" for picture in pictures]
    assert "#pictures" in page.loads
    assert "<script>alert" not in text
    report["pictures"] = []
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert "#pictures" not in Page(write_report(tmp_path).read_text()).loads
    report["pictures"] = [{"layer": "a", "png": '"><script>'}]
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(ValueError, match="complete 'pictures'"):
        write_report(tmp_path)


def form(name, kind, **changes):
    row = {
        "model": name,
        "form": kind,
        "bytes": 81_230,
        "milliseconds": 1.25,
        "score": 0.9431,
        "difference": 1e-3,
        "in_float": {},
        "float_share": None,
        "reason": None,
    }
    return {**row, **changes}


def test_forms_side_by_side(tmp_path):
    rows = [
        form("original", "int8", score=None, float_share=0.0),
        form("small", "float32"),
        form("small", "float16", reason="ValueError: <no>", bytes=None, score=None),
        form(
            "small",
            "int8",
            bytes=7_000,
            milliseconds=0.5,
            float_share=0.0312,
            in_float={"EXP": 2, "DIV": 1},
            rounding="compensated",
        ),
    ]
    arguments = {**sample_report()["arguments"], "ship": "int8"}
    page, _ = page_of(tmp_path, forms=rows, arguments=arguments)
    assert page.table("forms") == {
        "file": ["accuracy", "bytes", "latency", "stayed in float"],
        "original, int8": ["–", "81.2 kB", "1.25 ms", "nothing"],
        "small, float32": ["94.3 %", "81.2 kB", "1.25 ms", "all of it"],
        "small, float16": ["could not be written: ValueError: <no>"],
        "small, int8 (compensated)": [
            "94.3 %",
            "7 kB",
            "0.5 ms",
            "3.1 % of the FLOPs: EXP 2, DIV 1",
        ],
    }
    assert "so that outputs change least" in plain(page.text)
    assert "#forms" in page.loads
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count('<tr class="chosen"><th scope="row">small, int8 (comp') == 1
    assert "judged by accuracy of int8 LiteRT files" in page.text
    older = [form("small", "int8")]  # does not say how it was rounded
    page, _ = page_of(tmp_path, forms=older, arguments=arguments)
    assert "small, int8" in page.table("forms")
    assert "so that outputs change least" not in plain(page.text)
    page, _ = page_of(tmp_path)
    assert "#forms" not in page.loads


def test_scores_of_files_stand_beside_those_of_keras(tmp_path):
    report = sample_report()
    report["arguments"]["ship"] = "int8"
    for trial in report["trials"]:
        trial |= {"judged": "keras", "keras_score": None}
    report["trials"][2] |= {"judged": "int8", "keras_score": 0.9876}
    page = write(tmp_path, report)
    rows = page.table("trials")
    at = rows["trial"].index("by Keras")
    assert (rows["3"][at], rows["1"][at]) == ("98.8 %", "–")
    assert {len(row) for row in rows.values()} == {len(rows["trial"])}
    assert "its own score is that of the int8 file" in plain(page.text)
    page, _ = page_of(tmp_path)
    assert "by Keras" not in page.table("trials")["trial"]


@pytest.mark.parametrize(
    "wrong",
    [5, [{"model": "a"}], [form("a", "b", bytes="c")], [form("a", "b", rounding=1)]],
)
def test_forms_that_are_none(tmp_path, wrong):
    with pytest.raises(ValueError, match="to have a complete 'forms'"):
        write(tmp_path, sample_report(forms=wrong))


def test_data_date_metric_and_versions_are_named(tmp_path):
    data = {"name": "EuroSAT", "train": 18_900, "validation": 4_050, "test": None}
    versions = {**sample_report()["versions"], "backend": "jax"}
    date = "2026-11-26 11:21:09+00:00"
    page, _ = page_of(tmp_path, data=data, date=date, versions=versions)
    assert (
        "EuroSAT, 18,900 for train, 4,050 for validation · 2026-11-26 11:21:09+00:00 · "
        "judged by accuracy · keras_basisprune 0.1.0 · Keras 3.15.1 on jax"
    ) in plain(page.text)
    page, _ = page_of(tmp_path)  # of an older version
    assert "judged by accuracy · keras_basisprune 0.1.0" in plain(page.text)


def test_classes_have_names(tmp_path):
    rows = [
        {"class": number, "images": 9, "before": 1.0, "after": 0.5} for number in (0, 2)
    ]
    page, _ = page_of(tmp_path, recall=rows, class_names=["cat", HOSTILE, "dog"])
    assert list(page.table("classes")) == ["class", "cat", "dog"]
    page, _ = page_of(tmp_path, recall=rows)
    assert list(page.table("classes")) == ["class", "0", "2"]


def test_the_page_of_a_large_network_is_below_a_megabyte(tmp_path):
    report = sample_report(layers=110, trials=60)
    values = np.sort(np.random.default_rng(0).random(256))[::-1].tolist()
    for spectrum in report["spectra"]:
        spectrum |= {"singular_values": values, "rank": 60}
    page = write(tmp_path, report)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
    spectra = json.loads(page.data["spectrum-figures"])
    assert len(spectra) == len(report["spectra"]) > 90
    shown = len(page.tables["spectra"][1][2].split(",")) - 1
    assert 80 < shown + 1 < 90
    np.testing.assert_allclose(
        [y for trace in spectra[0]["figure"]["data"] for y in trace["y"]],
        values[: shown + 1],
        rtol=1e-3,
    )


def test_plotly_accepts_the_figures(tmp_path):
    figures = pytest.importorskip("plotly.graph_objects")
    page, _ = page_of(tmp_path)
    drawn = [*page.figures().values()]
    drawn += [one["figure"] for one in json.loads(page.data["spectrum-figures"])]
    assert len(drawn) > 5
    for one in drawn:
        found = figures.Figure(one)  # refuses what Plotly doesn't know
        assert len(found.data) == len(one["data"])
        kinds = {trace["type"] for trace in one["data"]}
        assert kinds <= {"bar", "scatter"}  # what the packed library can draw


def test_the_library_is_what_plotly_published(tmp_path):
    page, _ = page_of(tmp_path)
    library = gzip.decompress(base64.b64decode(page.data["plotly"]))
    assert library.startswith(b"/**\n* plotly.js (basic - minified) v4.1.1")
    assert b"Licensed under the MIT license" in library[:300]
    assert hashlib.sha256(library).hexdigest() == (
        "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    )
