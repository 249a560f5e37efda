"""What networks lost against what was predicted before they were cut."""

from keras_basisprune.report.charts._style import LIGHT, figure


def predicted_losses(report) -> dict | None:
    """Draws the loss of score by the predicted loss of the outputs.

    Args:
        report: The contents of a `report.json`.

    Returns:
        A Plotly figure with one trace for networks that lost channels, and one for
        those that then lost bases too, of one point per trial whose loss was predicted;
        `None` if there is no such trial.
    """
    if report["baseline"] is None:
        return None
    rows = [row for row in enumerate(report["trials"], 1) if _is_drawable(row[1])]
    alone, both = ([row for row in rows if _both(row[1]) == kind] for kind in (0, 1))
    groups = (
        ("channels", "first", "circle-open", alone),
        ("channels and bases", "second", "diamond", both),
    )
    traces = [
        _points(group, name, color, symbol, report)
        for name, color, symbol, group in groups
        if group
    ]
    if not traces:
        return None
    least = report["least"]
    return figure(
        traces,
        320,
        xaxis={
            "type": "log",
            "title": "predicted loss of the outputs, of channels alone",
            "exponentformat": "power",
        },
        yaxis={"title": f"points of {report['metric']} lost"},
        shapes=[] if least is None else [_budget(100 * (report["baseline"] - least))],
    )


def _is_drawable(trial):
    """Returns whether a trial can be drawn on a logarithmic axis."""
    return trial["score"] is not None and (trial.get("predicted") or 0) > 0


def _both(trial):
    """Returns whether bases were removed too."""
    to_channels = trial.get("to_channels")
    return to_channels is not None and to_channels < 1


def _points(rows, name, color, symbol, report):
    return {
        "type": "scatter",
        "mode": "markers",
        "meta": "trials",
        "name": name,
        "x": [trial["predicted"] for _, trial in rows],
        "y": [100 * (report["baseline"] - trial["score"]) for _, trial in rows],
        "customdata": [
            f"trial {number}, {100 * (trial['kept'] or 0):.2f} % kept"
            for number, trial in rows
        ],
        "hovertemplate": "%{x:.3g} predicted<br>%{y:.2f} points lost<br>%{customdata}"
        "<extra></extra>",
        "marker": {
            "symbol": symbol,
            "size": 9,
            "color": LIGHT[color],
            "line": {"width": 2, "color": LIGHT[color]},
        },
    }


def _budget(points):
    return {
        "type": "line",
        "name": "least",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": points,
        "y1": points,
        "line": {"width": 1.5, "dash": "dash", "color": LIGHT["text"]},
    }
