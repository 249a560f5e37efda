"""Style of all charts: colours, axes, and names that Plotly shows unchanged."""

import html

# The page's colours by name, for its style sheet and for the charts. All values of a
# palette differ, so that the page can replace one palette by the other. Blue and orange
# can be distinguished with any colour vision; contrasts are at least 4.5 for text.
LIGHT = {
    "page": "#f7f8f8",
    "panel": "#ffffff",
    "text": "#1c2126",
    "muted": "#59636d",
    "line": "#e0e4e7",
    "rest": "#d6dbe0",
    "first": "#0b63a6",
    "second": "#b8500c",
}
DARK = {
    "page": "#121518",
    "panel": "#1a1e22",
    "text": "#e6e9ec",
    "muted": "#a0aab3",
    "line": "#30363c",
    "rest": "#434b54",
    "first": "#62b0ea",
    "second": "#f2a65a",
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def figure(traces, height, **layout) -> dict:
    """Returns a Plotly figure as a dictionary of plain values, in the light colours.

    Args:
        traces: List of Plotly traces.
        height: Pixels.
        **layout: Plotly's layout; `xaxis` and `yaxis` are completed, their `title` is
            a string.
    """
    for name in ("xaxis", "yaxis"):
        layout[name] = {**_axis(), **layout.get(name, {})}
        if "title" in layout[name]:
            title = {"text": layout[name]["title"], "standoff": 10}
            layout[name]["title"] = title
    shared = {
        "template": {},
        "height": height,
        "paper_bgcolor": LIGHT["panel"],
        "plot_bgcolor": LIGHT["panel"],
        "font": {"family": _FONT, "size": 12, "color": LIGHT["text"]},
        "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
        "showlegend": False,
        "hoverlabel": {
            "bgcolor": LIGHT["panel"],
            "bordercolor": LIGHT["muted"],
            "font": {"color": LIGHT["text"]},
            "align": "left",
        },
    }
    made = {**shared, **{key: value for key, value in layout.items() if value}}
    return {"data": traces, "layout": made}


def legend_above() -> dict:
    """Returns a one-line legend above the chart, for `figure(..., legend=...)`."""
    return {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "itemclick": False,
        "itemdoubleclick": False,
        "bgcolor": "rgba(0,0,0,0)",
    }


def literal(name) -> str:
    """Escapes a name for Plotly, which reads its texts as HTML."""
    return html.escape(str(name), quote=False)


def short(name, longest) -> str:
    """Escapes a name, and shortens it in the middle to `longest` characters."""
    name = str(name)
    if len(name) > longest:
        half = longest // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return literal(name)


def _axis():
    return {
        "gridcolor": LIGHT["line"],
        "linecolor": LIGHT["muted"],
        "tickcolor": LIGHT["muted"],
        "tickfont": {"color": LIGHT["muted"]},
        "zeroline": False,
        "automargin": True,
    }
