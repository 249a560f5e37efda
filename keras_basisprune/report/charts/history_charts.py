"""Curves of the training that recovers accuracy."""

from keras_basisprune.report.charts._style import LIGHT, figure, legend_above

_GROUPS = (
    ("loss", ("loss",)),
    ("score", ("accuracy", "agreement", "score")),
)
_LINES = (
    ("first", "solid", "circle"),
    ("second", "dash", "diamond"),
    ("text", "dot", "square"),
    ("muted", "dashdot", "triangle-up"),
)


def history_charts(report) -> list[dict]:
    """Draws losses and scores by epoch; other curves are only in the table.

    Args:
        report: The contents of a `report.json`.

    Returns:
        A list of `{"name": "loss" or "score", "figure": dict}`, empty if nothing was
        trained.
    """
    found = []
    for title, words in _GROUPS:
        curves = {
            name: values
            for name, values in report["history"].items()
            if any(word in name for word in words) and values
        }
        if curves:
            found.append({"name": title, "figure": _chart(curves, title)})
    return found


def _chart(curves, title):
    traces = []
    for i, (name, values) in enumerate(curves.items()):
        color, dash, symbol = _LINES[i % len(_LINES)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": list(range(1, len(values) + 1)),
                "y": values,
                "hovertemplate": "epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
                "line": {"width": 1.5, "dash": dash, "color": LIGHT[color]},
                "marker": {"symbol": symbol, "size": 6, "color": LIGHT[color]},
            }
        )
    return figure(
        traces,
        300,
        showlegend=True,
        legend=legend_above(),
        margin={"l": 56, "r": 12, "t": 44, "b": 48},
        xaxis={"title": "epoch", "tickformat": "d"},
        yaxis={"title": title},
    )
