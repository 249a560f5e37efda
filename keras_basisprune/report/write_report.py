"""Writes the page that shows what `compress` did."""

import base64
import pathlib

from keras_basisprune.report import _page, _read, _text, charts
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import write_text
from keras_basisprune.utils.types import Path

_VALUES = 8_000  # singular values on the page, of all layers together
_LEAST_VALUES = 64  # of each layer


def write_report(folder: Path) -> pathlib.Path:
    """Writes `report.html` beside the `report.json` of a `compress` run.

    The page is one file of about half a megabyte that loads nothing from elsewhere.
    Its charts need JavaScript; all their numbers are also in tables, which do not.

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
    write_text(path, _whole(report))
    return path


def _packed_library() -> str:
    """Returns Plotly's JavaScript, its bundle of basic charts, packed for the page."""
    path = pathlib.Path(__file__).with_name("plotly-basic.min.js.gz")
    return base64.b64encode(path.read_bytes()).decode()


def _shortened(spectra) -> list[dict]:
    """Returns spectra with so few values each that the page stays below a megabyte."""
    most = max(_LEAST_VALUES, _VALUES // max(len(spectra), 1))
    return [
        {**one, "singular_values": one["singular_values"][:most]} for one in spectra
    ]


def _whole(report):
    """Returns the whole page as text."""
    report = {**report, "spectra": _shortened(report["spectra"])}
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
    return _page.fragment(
        "report.html.j2",
        report=report,
        headline=_text.headline(report),
        about=_text.about(report),
        objective=objective,
        figures={name: chart for name, chart in figures.items() if chart},
        spectra=spectra,
        history=history,
        to_dark={color: charts.DARK[name] for name, color in charts.LIGHT.items()},
        plotly_js=_packed_library(),
    )
