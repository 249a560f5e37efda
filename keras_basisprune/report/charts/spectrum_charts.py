"""Singular values of each decomposed layer, with the cut."""

from keras_basisprune.report.charts._style import LIGHT, figure


def spectrum_charts(report) -> list[dict]:
    """Draws one chart per layer: singular values on a logarithmic axis.

    Args:
        report: The contents of a `report.json`.

    Returns:
        A list of `{"name": str, "caption": str, "figure": dict}`.
    """
    totals = {layer["name"]: layer["rank"] for layer in report["layers"]}
    found = []
    for spectrum in report["spectra"]:
        values, rank = spectrum["singular_values"], spectrum["rank"]
        if values:
            pair = totals.get(spectrum["name"])
            total = max(pair[1] if pair else 0, len(values))
            one = {"name": spectrum["name"], "caption": _caption(values, rank, total)}
            found.append({**one, "figure": _chart(values, rank)})
    return found


def _caption(values, rank, total):
    if rank is None:
        return f"Not cut: all {total} are kept."
    text = f"{rank} of {total} kept."
    if 0 < rank <= len(values) and values[rank - 1] is not None:
        text += f" The smallest that is kept: {values[rank - 1]:.2g} of the largest."
    if rank < len(values) and values[rank] is not None:
        text += f" The first that was removed: {values[rank]:.2g}."
    if total > len(values):
        text += f" The first {len(values)} are shown."
    return text


def _chart(values, rank):
    cut = len(values) if rank is None else rank
    shapes = []
    if cut < len(values):
        shapes.append(
            {
                "type": "line",
                "yref": "paper",
                "x0": cut + 0.5,
                "x1": cut + 0.5,
                "y0": 0,
                "y1": 1,
                "line": {"width": 1.5, "dash": "dash", "color": LIGHT["text"]},
            }
        )
    return figure(
        [
            _points(values, range(min(cut, len(values))), "kept"),
            _points(values, range(cut, len(values)), "removed"),
        ],
        320,
        xaxis={"title": "basis", "rangemode": "tozero"},
        yaxis={
            "type": "log",
            "title": "share of the largest",
            "tickformat": "~g",
            "dtick": 1,
        },
        shapes=shapes,
    )


def _points(values, places, group):
    kept = group == "kept"
    color = LIGHT["first" if kept else "muted"]
    shown = [_short(values[i]) if (values[i] or 0) > 0 else None for i in places]
    return {
        "type": "scatter",
        "mode": "markers",
        "meta": group,
        "name": group,
        "x": [i + 1 for i in places],
        "y": shown,  # a logarithmic axis can't show zero
        "hovertemplate": f"basis %{{x}}: %{{y:.3g}} ({group})<extra></extra>",
        "marker": {
            "symbol": "circle" if kept else "circle-open",
            "size": 6,
            "color": color,
            "line": {"width": 1.2, "color": color},
        },
    }


def _short(value) -> float:
    """Returns four digits of a value, to keep the page small."""
    return float(f"{value:.4g}")
