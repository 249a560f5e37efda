"""Two reports of `compress` side by side."""

import dataclasses
import pathlib

from keras_basisprune.report import _page, _read, _text
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import write_text
from keras_basisprune.utils.text_table import text_table
from keras_basisprune.utils.types import Path


@dataclasses.dataclass(frozen=True)
class Section:
    """A table of a `ReportComparison`.

    Attributes:
        title: Its title.
        columns: The headings.
        rows: Tuple of rows, each a tuple of strings, one per column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class ReportComparison:
    """Two reports side by side; prints as text, shows as tables in notebooks.

    Attributes:
        names: The two folders, as they were given.
        headlines: What was removed and lost, a sentence for each.
        sections: Tuple of `Section`s; those that apply to neither report are missing.
    """

    names: tuple[str, str]
    headlines: tuple[str, str]
    sections: tuple[Section, ...]

    def __str__(self):
        pairs = zip(self.names, self.headlines, strict=True)
        parts = ["\n".join(f"{name}: {text}" for name, text in pairs)]
        for section in self.sections:
            first, *others = section.columns
            table = text_table((f"<{first}", *others), section.rows)
            parts.append(f"{section.title}\n{table}")
        return "\n\n".join(parts).replace(_text.NBSP, " ")

    def _repr_html_(self):
        return _page.fragment("comparison_tables.html.j2", comparison=self)

    def save(self, path: Path) -> pathlib.Path:
        """Writes a page that loads nothing from elsewhere.

        Args:
            path: The file to write, whole or not at all.

        Returns:
            Its `pathlib.Path`.
        """
        path = check_path("path", path, "file")
        write_text(path, _page.fragment("comparison.html.j2", comparison=self))
        return path


def compare_reports(first: Path, second: Path) -> ReportComparison:
    """Puts the reports of two `compress` runs side by side.

    Args:
        first: The `output_dir` of one run, which holds a `report.json`.
        second: That of another run, of the same model or of another one.

    Returns:
        A `ReportComparison`.

    Raises:
        ValueError: If there is no `report.json`, or if it is broken.

    Example:

    >>> both = compare_reports("runs/channels", "runs/both")
    >>> print(both)
    >>> both.save("comparison.html")
    """
    names = str(check_path("first", first)), str(check_path("second", second))
    reports = _read.read_report(names[0]), _read.read_report(names[1])
    makers = (_runs, _figures, _forms, _layers, _arguments, _versions)
    sections = (make(names, reports) for make in makers)
    return ReportComparison(
        names,
        (_text.headline(reports[0]), _text.headline(reports[1])),
        tuple(section for section in sections if section.rows),
    )


def _section(title, columns, rows) -> Section:
    return Section(title, tuple(columns), tuple(tuple(row) for row in rows))


def _runs(names, reports):
    rows = []
    for label, value in (
        ("model", lambda r: r["model"]["name"]),
        ("data", lambda r: _text.data_line(r) or _text.MISSING),
        ("date", lambda r: r.get("date", _text.MISSING)),
        ("judged as", lambda r: r["arguments"].get("ship") or "Keras"),
        ("metric", lambda r: r["metric"]),
        ("original", lambda r: _score(r["baseline"], r)),
        ("budget", lambda r: _score(r["least"], r)),
        ("budget met", lambda r: "yes" if r["met_budget"] else "no"),
        ("trials", lambda r: str(len(r["trials"]))),
        ("time", lambda r: _text.duration(r["seconds"].get("in all"))),
    ):
        rows.append((label, *map(value, reports)))
    return _section("The runs", ("run", *names), rows)


def _figures(names, reports):
    """Quantities before and after; one column `before` if both began with the same."""
    found = [{row["label"]: row for row in r["before_after"]} for r in reports]
    labels = list(dict.fromkeys((*found[0], *found[1])))
    nothing = {"before": None, "after": None}
    rows = []
    for label in labels:
        pair = [{"label": label, **nothing, **one.get(label, {})} for one in found]
        before = [_text.amount(row["before"], label) for row in pair]
        told = [_after_text(row) for row in pair]
        same = dict.fromkeys(text for text in before if text != _text.MISSING)
        rows.append((_text.label(label), " / ".join(same) or _text.MISSING, *told))
    columns = ("quantity", "before", *(f"{name} (removed)" for name in names))
    return _section("Before and after", columns, rows)


def _after_text(row) -> str:
    if row["after"] is None:
        return _text.MISSING
    return f"{_text.amount(row['after'], row['label'])} ({_text.removed(row)})"


def _forms(names, reports):
    """The forms of the small networks: metric, bytes and milliseconds."""
    tables = [
        {row["form"]: row for row in r.get("forms", []) if row["model"] == "small"}
        for r in reports
    ]
    rows = []
    for form in dict.fromkeys((*tables[0], *tables[1])):
        pairs = zip(tables, reports, strict=True)
        texts = [_form_text(table.get(form), report) for table, report in pairs]
        rows.append((form, *texts))
    return _section("LiteRT files of the small networks", ("form", *names), rows)


def _score(value, report) -> str:
    """Formats a score: in per cent, unless the metric is no share."""
    shares = report.get("share", True)
    return _text.percent(value) if shares else _text.number(value)


def _form_text(row, report) -> str:
    if row is None or row["reason"]:
        return _text.MISSING
    parts = [] if row["score"] is None else [_score(row["score"], report)]
    parts.append(_text.amount(row["bytes"], "bytes"))
    parts.append(_text.amount(row["milliseconds"], "milliseconds"))
    if row.get("rounding"):
        parts.append(row["rounding"])
    return ", ".join(parts)


def _layers(names, reports):
    tables = [{row["name"]: row for row in r["layers"]} for r in reports]
    rows = []
    for name in dict.fromkeys((*tables[0], *tables[1])):
        texts = [_layer_text(table.get(name)) for table in tables]
        if texts[0] != texts[1]:
            rows.append((name, *texts))
    return _section("Layers that differ", ("layer", *names), rows)


def _layer_text(row) -> str:
    if row is None:
        return _text.MISSING
    parts = []
    for key in ("channels", "rank"):
        if row[key]:
            kept, total = row[key]
            parts.append(f"{key} {kept} of {total}")
    return ", ".join(parts) or "unchanged"


def _arguments(names, reports):
    return _differing("Arguments that differ", "argument", "arguments", names, reports)


def _versions(names, reports):
    return _differing("Versions that differ", "package", "versions", names, reports)


def _differing(title, heading, key, names, reports):
    first, second = (report[key] for report in reports)
    rows = [
        (str(name), *(_value(one.get(name)) for one in (first, second)))
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    ]
    return _section(title, (heading, *names), rows)


def _value(value) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _text.MISSING if value is None else str(value)
