"""The result of `compress` in a few lines, as text or HTML."""

from keras_basisprune.report import _page, _text

_MOST = 6  # rows of figures


def summary(details) -> str:
    """Returns what was removed and lost, in ten lines at most.

    Args:
        details: The content of `report.json`.

    Returns:
        A string.

    Example:

    >>> print(summary(result.details))
    """
    rows = [
        (
            _text.label(row["label"].replace("_", " ")),
            _text.amount(row["before"], row["label"]),
            _text.amount(row["after"], row["label"]),
            _text.removed(row),
        )
        for row in details["before_after"][:_MOST]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_text.headline(details).replace(" removed, ", " removed,\n  ")]
    for name, before, after, removed in rows:
        numbers = zip((before, after, removed), widths[1:], strict=True)
        before, after, removed = (text.rjust(width) for text, width in numbers)
        lines.append(f"  {name.ljust(widths[0])}  {before} → {after}  {removed}")
    lines.append(f"  {', '.join(_run(details))}")
    return "\n".join(lines).replace(_text.NBSP, " ")


def summary_html(details) -> str:
    """Returns the same as HTML, for notebooks; with the LiteRT files.

    Args:
        details: The content of `report.json`.

    Returns:
        A string.
    """
    return _page.fragment(
        "summary.html.j2",
        report=details,
        headline=_text.headline(details),
        run=_run(details),
        files=details.get("forms", []),
    )


def _run(details) -> list[str]:
    tried = f"{len(details['trials'])} networks tried"
    told = [tried, _text.duration(details["seconds"].get("in all"))]
    data = _text.data_line(details)
    return [*told, data] if data else told
