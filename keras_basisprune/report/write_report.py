"""Writes the page that shows what `compress` did."""

import pathlib

from keras_basisprune.report import _read, _text, charts
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import write_text
from keras_basisprune.utils.types import Path

_FILTERS = {
    name: getattr(_text, name)
    for name in (
        "amount",
        "at_most",
        "duration",
        "label",
        "number",
        "passed",
        "percent",
        "removed",
        "removed_share",
        "small",
        "standard_error",
        "verdict",
    )
}


def write_report(folder: Path) -> pathlib.Path:
    """Writes `report.html` beside the `report.json` of a `compress` run.

    The page is one file that loads nothing from elsewhere. Its charts need JavaScript;
    all their numbers are also in tables, which do not.

    Args:
        folder: The `output_dir` of `compress`, a string or `pathlib.Path`, which holds
            a `report.json`.

    Returns:
        The `pathlib.Path` of the page, written whole or not at all.

    Raises:
        ValueError: If there is no `report.json`, or if it is broken or of another
            version, or if there is a folder named `report.html`, which is kept.

    Example:

    ```python
    page = write_report("runs/eurosat")
    webbrowser.open(page.resolve().as_uri())
    ```
    """
    path = check_path("folder", folder) / "report.html"
    check_path("folder", path, "file")
    report = _read.read_report(folder)
    write_text(path, _page(report))
    return path


def _page(report):
    """Returns the whole page as text."""
    import jinja2
    import plotly.offline

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_basisprune.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= _FILTERS
    objective = _text.objective_name(report)
    spectra = charts.spectrum_charts(report)
    history = charts.history_charts(report)
    figures = {
        "trade_off": charts.trade_off(report, objective),
        "predicted": charts.predicted_losses(report),
        "layers": charts.layer_bars(report),
        "layers_narrow": charts.layer_bars(report, narrow=True),
        **{f"history_{i}": chart["figure"] for i, chart in enumerate(history)},
    }
    return environment.get_template("report.html.j2").render(
        report=report,
        headline=_text.headline(report),
        objective=objective,
        figures={name: chart for name, chart in figures.items() if chart},
        spectra=spectra,
        history=history,
        light=charts.LIGHT,
        dark=charts.DARK,
        to_dark={color: charts.DARK[name] for name, color in charts.LIGHT.items()},
        plotly_js=plotly.offline.get_plotlyjs(),
    )
